"""What the dashboard keeps itself: drafts, the audit, sessions, tokens, failed logins. Never what a detector decides.

tables      the tables, as SQLAlchemy Core knows them
opening     a database from its URL, taken to the newest schema (Alembic, migrations/)
audit       append-only, each entry hashed with the one before it
drafts      a draft and its revisions
entering    sessions, tokens, lockouts, logins that a provider has not answered yet
"""
