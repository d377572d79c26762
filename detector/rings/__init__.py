"""Accounts that share no logged key but are driven by one hand."""
