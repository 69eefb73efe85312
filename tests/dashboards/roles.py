"""Who may use which route; the tests of roles, tokens and headers walk this table."""

from __future__ import annotations

# The least role that may use each route; a new route has to be put here.
LEAST = {
    "GET /": None, "GET /login": None, "POST /login": None, "POST /logout": None,
    "POST /language": None, "GET /health": None, "GET /ready": None,
    "GET /metrics": None, "GET /static/{name}": None,
    "GET /password": "reader", "POST /password": "reader",
    "GET /queue": "reader", "GET /mine": "reader", "GET /plan": "reader",
    "POST /filters": "reader", "POST /filters/use": "reader", "POST /filters/remove": "reader",
    "GET /item/{mention_key}": "reader", "GET /item/{mention_key}/place": "reader",
    "POST /item/{mention_key}/choose": "reviewer", "POST /item/{mention_key}/decide": "reviewer",
    "POST /item/{mention_key}/renew": "reviewer", "POST /undo": "reviewer",
    "POST /leave": "reviewer", "POST /withdraw": "reviewer", "GET /quality": "reviewer",
    "GET /adjudicate": "adjudicator", "GET /adjudicate/{mention_key}": "adjudicator",
    "POST /adjudicate/{mention_key}": "adjudicator",
    "GET /admin/users": "admin", "POST /admin/users/add": "admin",
    "POST /admin/users/password": "admin", "POST /admin/users/role": "admin",
    "POST /admin/users/active": "admin", "POST /admin/users/sessions": "admin",
    "GET /admin/audit": "admin", "POST /admin/recheck": "admin",
    "GET /jump": "reader", "GET /search": "reader", "GET /keys": "reader", "POST /keys": "reader",
    "POST /item/{mention_key}/find": "reviewer",
    "GET /views": "reader", "GET /views/{page}": "reader", "GET /views/claim/{mention_key}": "reader",
    "GET /corrections": "reader", "POST /corrections": "reviewer",
    "GET /item/{mention_key}/draft": "reader", "GET /item/{mention_key}/draft.txt": "reader",
    "POST /corrections/{key}/resolve": "adjudicator", "GET /report/{week}": "reader",
    "GET /views/claim/{mention_key}/spread.csv": "reader", "GET /views/{page}/{key}.csv": "reader",
}  # fmt: skip
