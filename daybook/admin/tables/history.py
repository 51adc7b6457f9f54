"""What was done: the audit, who changed what, when, from what to what; and jobs. They can be read, and nothing else."""

import sqlalchemy as sa

from daybook import audit
from daybook.admin.described import Column, Table
from daybook.admin.filters import Dates, Related, by_value, whole_number
from daybook.admin.searching import Contains, Named
from daybook.models import Account, AuditEntry, Job

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

# As the list calls it: "added sensor".
_DID = sa.case(audit.DEEDS, value=AuditEntry.action, else_=AuditEntry.action) + " " + AuditEntry.object_type

AUDIT = Table(
    slug="audit",
    one="entry",
    many="Audit",
    object_type="audit entry",
    about="Every change that anybody has made: on the pages, through the API, on the command line, in the chat.",
    key=AuditEntry.__table__.c.id,
    title=_DID + " " + AuditEntry.object_repr,
    rows=AuditEntry.__table__,
    columns=(
        Column("at", "Time", AuditEntry.at, "time", sort=True),
        Column("actor", "Who", AuditEntry.actor),
        Column("did", "Did", _DID),
        Column("object_repr", "Which", AuditEntry.object_repr),
        Column("changes", "Changes", AuditEntry.changes, "json"),
        Column("origin", "Where", sa.case(audit.ORIGINS, value=AuditEntry.origin, else_=AuditEntry.origin)),
        Column("action", "Action", AuditEntry.action, in_list=False),
        Column("object_type", "Kind of thing", AuditEntry.object_type, in_list=False),
        Column("object_id", "Its id", AuditEntry.object_id, in_list=False),
    ),
    order="-at",
    search=(
        Contains(AuditEntry.object_repr),
        Contains(AuditEntry.actor),
        Contains(AuditEntry.action),
        Named(AuditEntry.action, audit.DEEDS),
        Named(AuditEntry.object_type, {name: name for name in OBJECT_TYPES}),
        Named(AuditEntry.origin, audit.ORIGINS),
    ),
    search_hint="Who, did, which or where",
    filters=(
        by_value("origin", "Where", AuditEntry.origin, audit.ORIGINS),
        by_value("type", "What", AuditEntry.object_type, {name: name.capitalize() for name in OBJECT_TYPES}),
        Dates("at", "Time", AuditEntry.at),
        Related("by", "Account", AuditEntry.account_id, Account.id, Account.username, whole_number),
    ),
    empty="Nothing has been changed yet.",
)

JOB_STATUSES = {
    "waiting": "About to begin",
    "running": "Under way",
    "done": "Done",
    "failed": "Stopped by a mistake",
    "cancelled": "Ended early",
}

JOBS = Table(
    slug="jobs",
    one="job",
    many="Jobs",
    object_type="job",
    about="What was begun on many rows, and messages to everybody: who began it, and how far it came.",
    key=Job.__table__.c.id,
    title=Job.title,
    rows=sa.outerjoin(Job, Account, Account.id == Job.account_id),
    columns=(
        Column("what", "What", Job.title),
        Column("status", "Status", sa.case(JOB_STATUSES, value=Job.status, else_=Job.status)),
        Column("by", "Begun by", Account.username, link="accounts", link_key=Account.id, missing="gone"),
        Column("total", "Rows", Job.total, "number"),
        Column("changed", "Changed", Job.changed, "number"),
        Column("created_at", "Begun", Job.created_at, "time", sort=True),
        Column("finished_at", "Ended", Job.finished_at, "time"),
    ),
    order="-created_at",
    search=(Contains(Job.title),),
    search_hint="What",
    filters=(
        by_value("status", "Status", Job.status, JOB_STATUSES),
        Dates("created_at", "Begun", Job.created_at),
        Related("by", "Account", Job.account_id, Account.id, Account.username, whole_number),
    ),
    empty="No jobs yet. What is done to more than 200 rows, and a message to everybody, becomes one.",
)
