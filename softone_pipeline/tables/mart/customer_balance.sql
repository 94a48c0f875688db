-- What each customer has been invoiced and, where the ERP has said what is paid, what is open and how old it is: now.
-- How, and the same of an earlier moment, stands in customer_balance_as_known.sql and receivables_as_known.sql.
select *
from mart.customer_balance_as_known(null)
