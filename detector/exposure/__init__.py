"""How much of the model has leaked to an entity: a student of its answered queries, and how broadly it asked."""
