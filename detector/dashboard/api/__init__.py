"""HTTP, and no thought of its own: who asks, may he, what did he ask, and the answer of the room that knows.

Everything under /api/v1, JSON of `shapes`; errors are `Problem` (application/problem+json). Lists take `cursor` and
`limit` (100, at most 1,000) and answer `Page`. What changes something wants `X-CSRF-Token` with a session, or a token
in `Authorization: Bearer`. Roles: v viewer, a analyst, e engineer, A admin; each may do what those before it may.

    GET    /ways                                   Ways              anybody
    POST   /login                Login           → Session           anybody; 429 when asked too often
    POST   /logout                                 204               v
    GET    /session                                Session           v; 401 without
    GET    /tokens               Page[Token] · POST NewToken → Token · DELETE /tokens/{id}        A
    GET    /overview                               Overview          v
    GET    /policy                                 PolicyWord[]      v; the journal, the newest first
    GET    /histogram            ?level=           Histogram         v
    POST   /preview              Ask             → Preview           v
    POST   /promise              AskPromise      → Promised          v
    GET    /drafts                                 Page[Draft]       v
    POST   /drafts               NewDraft        → Draft 201         e
    PUT    /drafts/{id}          NewDraft        → Draft             e; If-Match: etag, else 412 (428 without)
    POST   /drafts/{id}/approve  Reason          → Draft             e, not its author; If-Match
    POST   /drafts/{id}/withdraw Reason          → Draft             e; If-Match
    POST   /drafts/{id}/apply    Reason          → Draft 202         A; If-Match; 409 when its base is not in force
    POST   /policy/{version}/rollback Reason     → Draft 202         A; a policy of the journal again, as a new draft
    GET    /audit                                  Page[AuditEntry]  v; the newest first
    GET    /audit/state?whole                      AuditState        v; whole: all entries are followed again
    GET    /entities             ?level=&search=&sort=score|exposure|queries|last   Page[EntityRow]   v
    GET    /entity               ?level=&id=       EntityView        v
    GET    /entity/timeline      ?level=&id=       Timeline          v
    GET    /entity/queries       ?level=&id=       Mattered[]        v
    GET    /entity/map           ?level=&id=       Map               v
    GET    /cases                ?state=open|resolved|held|all&search=   Page[CaseRow]   v
    GET    /cases/{case_id}                        CaseView          v
    POST   /verdicts             Say             → Said              a
    GET    /allowed                                Page[Allowed]     v; POST Allowed → Draft 202   A
    DELETE /allowed              ?kind=&id=        Draft 202         A
    GET    /health                                 HealthWord        v
    GET    /events                                 text/event-stream v; events: those of Books.seen, and `drafts`

The page itself is / and everything that is no file there; /openapi.json describes this, with the least role of each
operation as `x-role`. OIDC: /oidc/login, /oidc/callback, which leads to / or, where nobody was let in, to
/?login=failed, refused (no role here) or away (the provider does not answer). The one-time link: /link?token=.

entering, policies, looking, events, oidc, page   the handlers
guarding, headers                                 before and around them
house, asked, problem, described, app             what they share
"""
