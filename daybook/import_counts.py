"""The account of a file's lines and cells, kept while it is read."""

from dataclasses import dataclass

from daybook.formats.batch import Batch, Issue
from daybook.upload_options import ImportRefused, Options

_ALL_BAD_ROWS = 1000


@dataclass
class Counts:
    """The account of lines and cells so far."""

    lines_total: int = 0
    lines_preamble: int = 0
    lines_blank: int = 0
    lines_read: int = 0
    lines_rejected: int = 0
    cells_missing: int = 0
    cells_not_numeric: int = 0
    repeated: int = 0
    first_time: int | None = None
    last_time: int | None = None
    issues: int = 0
    first_rejected: Issue | None = None

    def add(self, batch: Batch) -> None:
        """Adds what a batch held."""
        self.lines_total += batch.lines
        self.lines_preamble += batch.preamble
        self.lines_blank += batch.blank
        self.lines_read += batch.read
        self.lines_rejected += batch.rejected
        self.cells_missing += batch.missing
        self.cells_not_numeric += batch.not_numeric
        for series in batch.series:
            first, last = int(series.times.min()), int(series.times.max())
            self.first_time = first if self.first_time is None else min(self.first_time, first)
            self.last_time = last if self.last_time is None else max(self.last_time, last)
        if self.first_rejected is None:
            self.first_rejected = next((issue for issue in batch.issues if issue.rejected), None)

    def check_rejected(self, options: Options, last: bool) -> None:
        """Raises ImportRefused when so much was rejected that the file must have been understood wrongly."""
        bad, rows = self.lines_rejected, self.lines_rejected + self.lines_read
        if not bad:
            return
        example = f", for example {_issue_in_words(self.first_rejected)}" if self.first_rejected else ""
        if options.on_bad_row == "fail":
            hint = "Mend the line, or let bad rows be skipped."
            raise ImportRefused("bad_row", f"a row cannot be read{example}", hint)
        if (bad == rows >= _ALL_BAD_ROWS) or (last and bad * 2 > rows):
            raise ImportRefused(
                "too_many_bad_rows",
                f"{bad:,} of {rows:,} rows cannot be read{example}",
                "The file was understood wrongly, or it is damaged; nothing of it was kept.",
            )


def _issue_in_words(issue: Issue) -> str:
    column = f', column "{issue.column}"' if issue.column else ""
    return f'line {issue.line}{column}: "{issue.value[:60]}" {issue.reason}'
