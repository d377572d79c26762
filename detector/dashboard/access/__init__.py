"""Who may: the roles, the one local account, the provider (OIDC), sessions, API tokens, and the one-time link.

person      who asks, and what the roles allow
passwords   argon2
entrance    every way in, with lockouts and an entry in the audit for each
pace        how often one may try
provider    OpenID Connect: Authorization Code with PKCE
"""
