"""The tables of the admin area, in the order of its menu."""

from daybook.admin.described import Table
from daybook.admin.tables import accounts, book, counters, history, messages, uploads, users

TABLES: tuple[Table, ...] = (
    users.USERS,
    messages.MESSAGES,
    messages.UPDATES,
    book.SOURCES,
    book.SENSORS,
    uploads.UPLOADS,
    uploads.FILE_TYPES,
    counters.COUNTERS,
    accounts.ACCOUNTS,
    accounts.TOKENS,
    history.JOBS,
    history.AUDIT,
)
BY_SLUG = {table.slug: table for table in TABLES}
BY_OBJECT_TYPE = {table.object_type: table for table in TABLES}
