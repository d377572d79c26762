"""Alerts under another policy, by `decide` itself, over the score tape: pure, of arrays and policies alone.

columns    the tape as columns in memory, an entity's points together
standing   which points of an entity cannot be told apart by a policy
trial      the decisions of a journal of policies over all of it
preview    two trials side by side: days, who flips, what people judged
histogram  entities by their highest score
promised   what stands behind a threshold: shares, their Beta law, and the words that belong beside them
"""
