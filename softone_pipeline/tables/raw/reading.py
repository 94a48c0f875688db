"""Reads what is new, exactly: by the database where an invoice is plain, one by one otherwise.

Works on landing's temp tables received and difference; what is written of it is landing.py's.
"""

from __future__ import annotations

from collections.abc import Sequence

import duckdb

from softone_pipeline.softone import WHOLE_INVOICE, InvoiceUnreadable, fields, normalise_invoice

# What from_json_strict would take without a word although it is not what the field's type can hold: a boolean
# or an unquoted word for a number, a quoted number, surplus decimals (it rounds), a fraction for an integer, an
# exponent or so many digits that the reader's own double would lose some, a number for a text, a null row, a NUL
# character; and any of these under a field's name that is written with an escape.
# Such invoices are read one by one instead (softone.models), which either makes them plain or names the field.
_AMOUNT, _QUANTITY, _INTEGER, _TEXT = (
    f'"(?:{"|".join(sorted(names))})"'
    for names in (
        fields.HEADER_AMOUNTS | fields.ROW_AMOUNTS,
        fields.QUANTITIES,
        fields.HEADER_INTEGERS | fields.ROW_INTEGERS,
        fields.HEADER_TEXTS | fields.DATES | fields.ROW_TEXTS,
    )
)
_NOT_PLAIN = "|".join(
    (
        _AMOUNT + r"\s*:\s*(?:[^-0-9n\s]|-?[0-9]+\.[0-9]{2}0*[1-9])",
        _QUANTITY + r"\s*:\s*(?:[^-0-9n\s]|-?[0-9]+\.[0-9]{6}0*[1-9])",
        _INTEGER + r"\s*:\s*(?:[^-0-9n\s]|-?[0-9]+\.)",
        _TEXT + r'\s*:\s*[^"n\s]',
        r'"Accounts"\s*:\s*[^\[n\s]',
        r"[:,\[]\s*-?[0-9.]+[eE]",
        r"[:,\[]\s*-?[0-9.]{16}",
        r"[\[,]\s*null\s*[,\]]",
        r"\\u0000",
        r'"[^"\\]*\\[^"]*"\s*:',
    )
)
_PLAIN_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?)?"


def read_differences(connection: duckdb.DuckDBPyConnection) -> None:
    """Temp tables typed and unreadable: each difference either reads exactly, or names the field that does not."""
    connection.execute(
        """
        create or replace temp table typed as
        with reading as (
            select
                * exclude (payload),
                case when not regexp_matches(payload, $not_plain) then try(raw.read_invoice(payload)) end as invoice
            from received
            where seq in (select seq from difference)
        )

        select
            seq,
            null::varchar as payload_normalised,
            invoice.OriginStatus as origin_status,
            coalesce(
                invoice.InvoiceId = invoice_id
                and invoice.TotalAmount is not null and invoice.TotalAmountCurrency is not null
                and invoice.VATAmount is not null and invoice.VATAmountCurrency is not null
                and invoice.InvoiceRows is not null
                and (
                    invoice.InvoiceDate is null
                    or (regexp_full_match(invoice.InvoiceDate, $plain_date)
                        and try_cast(invoice.InvoiceDate[:10] as date) = invoice_date)
                )
                and (
                    invoice.DueDate is null
                    or (regexp_full_match(invoice.DueDate, $plain_date)
                        and try_cast(invoice.DueDate[:10] as date) > date '0001-01-01')
                ),
                false
            ) as is_plain
        from reading
        """,
        {"not_plain": _NOT_PLAIN, "plain_date": _PLAIN_DATE},
    )
    connection.execute("create or replace temp table unreadable (seq bigint, field varchar, reason varchar)")
    odd = connection.execute(
        """
        select seq, payload from received inner join typed using (seq) where not is_plain
        union all
        select seq, payload from received where invoice_id is null
        order by seq
        """
    ).fetchall()
    if odd:
        _read_one_by_one(connection, odd)
    connection.execute(
        """
        create or replace temp table accepted as
        from difference inner join typed using (seq)
        where seq not in (select seq from unreadable)
        """
    )


def _read_one_by_one(connection: duckdb.DuckDBPyConnection, odd: Sequence[tuple[int, str]]) -> None:
    """Corrects typed, and fills unreadable, for invoices that are not plain."""
    connection.execute("create or replace temp table plain (seq bigint, payload varchar)")
    plain, unreadable = [], []
    for seq, payload in odd:
        try:
            plain.append((seq, normalise_invoice(payload)))
        except InvoiceUnreadable as error:
            unreadable.append((seq, error.field, error.reason))
    insert_columns(connection, "plain", plain)
    insert_columns(connection, "unreadable", unreadable)
    # Belt and braces: what the one-by-one reading calls plain must read strictly now.
    connection.execute(
        """
        insert into unreadable
        select plain.seq, 'InvoiceId', 'cannot be read'
        from plain
        left join typed using (seq)
        where typed.seq is null or try(raw.read_invoice(plain.payload)) is null
        """
    )
    # The exact reading is more tolerant than JSON, which the payload is stored as.
    connection.execute(
        """
        insert into unreadable
        select seq, $field, 'is no valid JSON: a text in it holds a raw tab or line break, or half a character'
        from received
        inner join plain using (seq)
        where not json_valid(received.payload)
        """,
        {"field": WHOLE_INVOICE},
    )
    connection.execute(
        """
        update typed
        set payload_normalised = plain.payload, origin_status = raw.read_invoice_header(plain.payload).OriginStatus
        from plain
        where plain.seq = typed.seq and typed.seq not in (select seq from unreadable)
        """
    )


def insert_columns(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[object, ...]]) -> None:
    """Insert a few rows as whole columns: one statement however many rows there are."""
    if not rows:
        return
    columns = [list(column) for column in zip(*rows, strict=True)]
    values = ", ".join(f"unnest($c{i})" for i in range(len(columns)))
    connection.execute(f"insert into {table} select {values}", {f"c{i}": column for i, column in enumerate(columns)})
