"""Parquet: columns that Arrow reads in batches of rows, and writes as lines."""

import io
from collections.abc import Iterator
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet

from daybook.formats.batch import shown
from daybook.formats.layout import FormatError
from daybook.formats.records import About, Notes, too_large
from daybook.formats.spool import is_of_the_disk

PARQUET_MAGIC = b"PAR1"
_CELLS = 400_000  # of a batch
_MAX_COLUMNS = 5000
_LINE_ENDS = "[\\t\\r\\n]+"


def read_parquet(file: IO[bytes], about: About, notes: Notes, max_bytes: int) -> Iterator[bytes]:
    """The rows as lines, line n for row n; columns that hold no plain values are left out and noted.

    Times are written in ISO form, with Z where the column has a zone, and numbers so that they come back exactly.
    """
    try:
        table = parquet.ParquetFile(file, memory_map=False, pre_buffer=False)
        columns = _columns(table, notes)
        about.names = columns
        _check_size(table, max_bytes)
        written = 0
        for batch in table.iter_batches(
            batch_size=max(1, _CELLS // len(columns)), columns=columns, use_threads=False, use_pandas_metadata=False
        ):
            data = _lines(batch)
            written += len(data)
            if written > max_bytes:
                raise too_large(max_bytes, "the Parquet file")
            yield data
    except (pa.ArrowException, OSError) as error:
        if is_of_the_disk(error):
            raise
        raise _damaged(error) from error


def _columns(table: parquet.ParquetFile, notes: Notes) -> list[str]:
    names = []
    for field in table.schema_arrow:
        if pa.types.is_nested(field.type) or _kind(field.type) is None:
            notes.add(1, shown(field.name), "", f"holds {field.type}, which is no reading: this column is not kept")
        elif field.name in names or "." in field.name:
            notes.add(
                1, shown(field.name), "", "has a name that Parquet cannot tell from others: this column is not kept"
            )
        else:
            names.append(field.name)
    if len(names) > _MAX_COLUMNS:
        raise FormatError("too_many_columns", f"the Parquet file has more than {_MAX_COLUMNS:,} columns")
    if not names or not table.metadata.num_rows:
        raise FormatError("no_rows", "the Parquet file holds no rows of times and numbers", "Choose another file.")
    return names


def _kind(kind: pa.DataType) -> pa.DataType | None:
    """The type as which a column is written; None where it cannot be."""
    types = pa.types
    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_float16(kind):
        return pa.float32()
    if types.is_integer(kind) or types.is_floating(kind) or types.is_timestamp(kind) or types.is_boolean(kind):
        return kind
    if types.is_string(kind) or types.is_large_string(kind) or types.is_decimal(kind) or types.is_null(kind):
        return pa.string()
    return pa.string() if types.is_date(kind) or types.is_time(kind) else None


def _check_size(table: parquet.ParquetFile, max_bytes: int) -> None:
    groups = table.metadata.num_row_groups
    if sum(table.metadata.row_group(group).total_byte_size for group in range(groups)) > max_bytes:
        raise too_large(max_bytes, "the Parquet file")


def _lines(batch: pa.RecordBatch) -> bytes:
    columns = [_written(column) for column in batch.columns]
    out = io.BytesIO()
    options = arrow_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="needed")
    arrow_csv.write_csv(pa.table(columns, names=[str(place) for place in range(len(columns))]), out, options)
    return out.getvalue()


def _written(column: pa.Array) -> pa.Array:
    kind = _kind(column.type)
    if pa.types.is_timestamp(column.type) and column.type.tz:
        # As its moment in UTC; Arrow puts a Z behind it.
        return column.cast(pa.timestamp(column.type.unit, "UTC"))
    if column.type != kind:
        column = column.cast(kind)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        column = pc.replace_substring_regex(column, _LINE_ENDS, " ")
    return column


def _damaged(error: Exception) -> FormatError:
    words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
    hint = (
        "Write it again; encrypted files cannot be read." if "encrypt" in words.lower() else "Fetch or write it again."
    )
    return FormatError("damaged_parquet", f"the Parquet file cannot be read: {words}", hint)
