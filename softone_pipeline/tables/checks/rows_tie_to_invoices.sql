-- Invoices whose rows come to another net, VAT or number of rows than core.invoices says, and rows without an invoice.
with summed as (
    select
        company,
        invoice_id,
        count(*) as row_count,
        sum(net_amount) as net_amount,
        sum(net_amount_currency) as net_amount_currency,
        coalesce(sum(vat_amount) filter (where row_kind <> 'subtotal'), 0) as vat_amount,
        coalesce(sum(vat_amount_currency) filter (where row_kind <> 'subtotal'), 0) as vat_amount_currency
    from core.invoice_rows
    group by company, invoice_id
)

select
    company,
    invoice_id,
    invoices.invoice_nr,
    'invoice ' || coalesce(invoices.invoice_nr, '(no number)') || ' (id ' || invoice_id || '): ' || case
        when invoices.row_count is null then 'rows without an invoice'
        else coalesce(summed.row_count, 0) || ' of ' || invoices.row_count || if(invoices.row_count = 1, ' row', ' rows') || ', net '
            || coalesce(summed.net_amount, 0) || ' for ' || invoices.net_amount || ', VAT '
            || coalesce(summed.vat_amount, 0) || ' for ' || invoices.row_vat_amount
    end as what
from core.invoices as invoices
full join summed using (company, invoice_id)
where coalesce(summed.row_count, 0) is distinct from invoices.row_count
    or (
        summed.row_count is not null and (
            summed.net_amount <> invoices.net_amount
            or summed.net_amount_currency <> invoices.net_amount_currency
            or summed.vat_amount <> invoices.row_vat_amount
            or summed.vat_amount_currency <> invoices.row_vat_amount_currency
        )
    )
order by invoice_id
