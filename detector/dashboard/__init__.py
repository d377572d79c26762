"""The dashboard: who asks how, what another threshold would have done, and what people said of alerts.

shapes    what goes over the wire: the API's requests and answers, and nothing else
reading/  what a store holds, as those shapes: no HTTP, no user
whatif/   alerts under another policy, by `decide` itself
access/   who may: accounts, roles, sessions, tokens, OIDC
keeping/  what the dashboard itself keeps: drafts, audit, accounts (SQLAlchemy)
api/      HTTP, and no thought of its own
page/     the page's source (TypeScript); `make page` builds it into static/
"""
