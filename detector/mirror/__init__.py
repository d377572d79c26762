"""A mirror: a store as one process keeps it, of what workers found, written from their topics and nothing else."""
