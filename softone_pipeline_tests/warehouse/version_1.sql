-- A database of schema version 1, as the package made it then. Frozen: it is never brought up to date.
create schema raw;
create schema core;
create schema mart;
create table raw.customer_invoices (
    company VARCHAR,
    invoice_id BIGINT,
    partition_date DATE,
    payload JSON using compression zstd,
    payload_normalised VARCHAR,
    origin_status INTEGER,
    payload_hash VARCHAR,
    fetched_at TIMESTAMPTZ,
    superseded_at TIMESTAMPTZ,
    change VARCHAR,
    end_reason VARCHAR,
    latest BOOLEAN,
    run_id VARCHAR
);
create table raw.quarantine (
    company VARCHAR,
    partition_date DATE,
    fetched_at TIMESTAMPTZ,
    run_id VARCHAR,
    invoice_id BIGINT,
    field VARCHAR,
    reason VARCHAR,
    payload VARCHAR
);
create table raw.fetched_days (
    company VARCHAR,
    partition_date DATE,
    fetched_at TIMESTAMPTZ,
    invoice_count INTEGER,
    include_preliminary BOOLEAN,
    closures_suspended BOOLEAN,
    run_id VARCHAR
);
create table raw.payment_status (
    company VARCHAR,
    invoice_id BIGINT,
    total_amount DECIMAL(18,2),
    paid_amount DECIMAL(18,2),
    fully_paid BOOLEAN,
    as_of TIMESTAMPTZ,
    superseded_at TIMESTAMPTZ,
    run_id VARCHAR
);
create table raw.payment_search (
    company VARCHAR,
    asked_at TIMESTAMPTZ,
    invoice_count INTEGER,
    run_id VARCHAR
);
create table core.invoices (
    company VARCHAR,
    invoice_id BIGINT,
    invoice_nr VARCHAR,
    customer_nr VARCHAR,
    customer_name VARCHAR,
    customer_org_nr VARCHAR,
    invoice_date DATE,
    due_date DATE,
    billing_type INTEGER,
    billing_type_name VARCHAR,
    origin_status INTEGER,
    status_class VARCHAR,
    currency VARCHAR,
    total_amount DECIMAL(18,2),
    total_amount_currency DECIMAL(18,2),
    vat_amount DECIMAL(18,2),
    vat_amount_currency DECIMAL(18,2),
    net_amount DECIMAL(18,2),
    net_amount_currency DECIMAL(18,2),
    rounding_amount DECIMAL(18,2),
    rounding_amount_currency DECIMAL(18,2),
    row_vat_amount DECIMAL(18,2),
    row_vat_amount_currency DECIMAL(18,2),
    row_count INTEGER,
    price_basis VARCHAR,
    sign_normalised BOOLEAN,
    header_vat_within_tolerance BOOLEAN,
    has_quarantined_update BOOLEAN,
    partition_date DATE,
    fetched_at TIMESTAMPTZ
);
create table core.invoice_rows (
    company VARCHAR,
    invoice_id BIGINT,
    row_nr INTEGER,
    partition_date DATE,
    invoice_date DATE,
    invoice_nr VARCHAR,
    customer_nr VARCHAR,
    currency VARCHAR,
    billing_type_name VARCHAR,
    status_class VARCHAR,
    product_nr VARCHAR,
    text VARCHAR,
    quantity DECIMAL(18,6),
    unit_price DECIMAL(18,6),
    unit_price_currency DECIMAL(18,6),
    sum_amount DECIMAL(18,2),
    sum_amount_currency DECIMAL(18,2),
    net_amount DECIMAL(18,2),
    net_amount_currency DECIMAL(18,2),
    vat_amount DECIMAL(18,2),
    vat_amount_currency DECIMAL(18,2),
    discount_amount_currency DECIMAL(18,2),
    row_kind VARCHAR,
    vat_class VARCHAR,
    vat_rate DECIMAL(5,2),
    vat_status VARCHAR,
    is_flagged BOOLEAN,
    price_basis VARCHAR,
    sign_normalised BOOLEAN,
    attest_state INTEGER,
    attest_state_name VARCHAR,
    accounts JSON
);
create table core.build_state (
    company VARCHAR,
    fingerprint VARCHAR,
    built_at TIMESTAMPTZ
);
create table mart.vat_summary (
    company VARCHAR,
    period_month DATE,
    currency VARCHAR,
    billing_type_name VARCHAR,
    status_class VARCHAR,
    vat_class VARCHAR,
    rate_source VARCHAR,
    net_amount DECIMAL(18,2),
    net_amount_currency DECIMAL(18,2),
    vat_amount DECIMAL(18,2),
    vat_amount_currency DECIMAL(18,2),
    invoice_count BIGINT,
    row_count BIGINT,
    flagged_count BIGINT
);
create table mart.vat_return_draft (
    company VARCHAR,
    period_month DATE,
    box VARCHAR,
    amount_kr BIGINT,
    coverage VARCHAR,
    note VARCHAR
);
create table mart.customer_balance (
    company VARCHAR,
    as_of DATE,
    customer_nr VARCHAR,
    currency VARCHAR,
    customer_name VARCHAR,
    invoice_count BIGINT,
    debit_invoiced DECIMAL(18,2),
    credited DECIMAL(18,2),
    interest DECIMAL(18,2),
    reminder DECIMAL(18,2),
    other_invoiced DECIMAL(18,2),
    net_invoiced DECIMAL(18,2),
    past_due_invoiced DECIMAL(18,2),
    payment_basis VARCHAR,
    paid_amount DECIMAL(18,2),
    open_amount DECIMAL(18,2),
    unapplied_credit DECIMAL(18,2),
    not_due DECIMAL(18,2),
    due_1_30 DECIMAL(18,2),
    due_31_60 DECIMAL(18,2),
    due_61_90 DECIMAL(18,2),
    due_over_90 DECIMAL(18,2),
    no_due_date DECIMAL(18,2),
    last_invoice_date DATE,
    unknown_payment_count BIGINT,
    payment_total_differs_count BIGINT
);
create table raw.warehouse_version (version integer, declarations varchar, written_at timestamptz);
insert into raw.warehouse_version values (1, 'of then', now());
