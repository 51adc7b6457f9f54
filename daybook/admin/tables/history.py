"""The audit: who changed what, when, from what to what. It can be read, and nothing else."""

from daybook import audit
from daybook.admin.described import Column, Table
from daybook.admin.filters import Dates, Related, by_value, whole_number
from daybook.admin.searching import Contains
from daybook.models import Account, AuditEntry

OBJECT_TYPES = (
    "account",
    "bot user",
    "chat",
    "counter",
    "file type",
    "job",
    "message",
    "sensor",
    "source",
    "token",
    "update",
    "upload",
)

AUDIT = Table(
    slug="audit",
    one="entry",
    many="Audit",
    object_type="audit entry",
    about="Every change that anybody has made: on the pages, through the API, on the command line, in the chat.",
    key=AuditEntry.__table__.c.id,
    title=AuditEntry.action + " " + AuditEntry.object_type + " " + AuditEntry.object_repr,
    rows=AuditEntry.__table__,
    columns=(
        Column("at", "Time", AuditEntry.at, "time", sort=True),
        Column("actor", "Who", AuditEntry.actor),
        Column("did", "Did", AuditEntry.action + " " + AuditEntry.object_type),
        Column("object_repr", "Which", AuditEntry.object_repr),
        Column("changes", "Changes", AuditEntry.changes, "json"),
        Column("origin", "Where", AuditEntry.origin, in_list=False),
        Column("action", "Action", AuditEntry.action, in_list=False),
        Column("object_type", "Kind of thing", AuditEntry.object_type, in_list=False),
        Column("object_id", "Its id", AuditEntry.object_id, in_list=False),
    ),
    order="-at",
    search=(Contains(AuditEntry.object_repr), Contains(AuditEntry.actor), Contains(AuditEntry.action)),
    search_hint="Who, what or which",
    filters=(
        by_value("origin", "Where", AuditEntry.origin, audit.ORIGINS),
        by_value("type", "What", AuditEntry.object_type, {name: name.capitalize() for name in OBJECT_TYPES}),
        Dates("at", "Time", AuditEntry.at),
        Related("by", "Account", AuditEntry.account_id, Account.id, Account.username, whole_number),
    ),
    empty="Nothing has been changed yet.",
)
