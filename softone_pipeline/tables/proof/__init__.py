"""Proofs: what the tables say, held against something else: the rows beneath, the ledger, the ERP. Derives no table."""
