"""Text as numbers: what it means (an embedding, offline) and how it is written (its form)."""
