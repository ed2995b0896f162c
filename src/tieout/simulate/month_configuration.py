"""The `tieout.yaml` that reconciles a simulated month. It names no date: the same file serves every month."""

from __future__ import annotations

from tieout.simulate.postings import LEDGER_ZONE, RECEIVABLE
from tieout.simulate.settlement import PAYOUT_CODE, TRANSFER_CODE

_TEXT = """\
# Reconciles the simulated month beside this file. Run `tieout run` after ingesting the files.
workspace: quillstone

sources:
  stripe:
    format: stripe
    customers: true
    files: ["stripe/*.jsonl"]
  bank:
    format: camt
    files: ["bank/*.xml"]
  crm:
    format: csv
    kind: customer
    customers: true
    files: ["crm/*.csv"]
    mapping:
      native_id: account_id
      customer_ref: account_id
      counterparty: name
      status: status
      category: tier
      attributes: [email, stripe_customer_id, country]
    contract:
      required: [native_id, customer_ref]
  product:
    format: csv
    kind: entitlement
    customers: true
    files: ["product/*.csv"]
    mapping:
      native_id: entitlement_id
      customer_ref: customer
      category: plan
      status: status
      attributes: [seats]
    contract:
      required: [native_id, customer_ref]
  ledger:
    format: csv
    kind: ledger_entry
    zone: {zone}
    files: ["ledger/*.csv"]
    mapping:
      native_id: entry_id
      version: revision
      date: date
      time: booked_at
      account: account
      amount: amount
      currency: currency
      reference: reference
      description: memo
    contract:
      required: [native_id, date, amount, currency, account]

identity:
  canonical_source: crm
  key_map: key_map.csv

reconciliations:
  # Every invoice that is paid by card, less its credit notes, has charges, less refunds, of its amount.
  invoices-to-charges:
    kind: match
    sides:
      invoices:
        source: stripe
        kind: [invoice, credit_note]
        where: {{status: [paid, open, issued]}}
        where_not: {{category: manual}}
      charges:
        source: stripe
        kind: [charge, refund]
        where: {{status: succeeded}}
    passes:
      - {{name: by-invoice, type: exact, on: {{invoices: invoice_ref, charges: invoice_ref}}}}
      - {{name: by-sums, type: grouped, on: {{invoices: invoice_ref, charges: invoice_ref}}}}
    disputes: stripe

  # Every invoice that is paid by transfer stands on a bank statement under its number.
  invoices-to-transfers:
    kind: match
    sides:
      invoices:
        source: stripe
        kind: invoice
        where: {{status: [paid, open], category: manual}}
      transfers:
        source: bank
        kind: bank_line
        where: {{category: {transfer}}}
    passes:
      - {{name: by-number, type: exact, on: {{invoices: reference, transfers: reference}}}}
      - {{name: by-sums, type: grouped, on: {{invoices: reference, transfers: reference}}}}

  # Every payout is the sum of the balance transactions that it pays out, net of fees.
  payout-detail:
    kind: match
    sides:
      transactions:
        source: stripe
        kind: balance_transaction
        where: {{status: available}}
        where_not: {{category: payout}}
        amount: net
      payouts:
        source: stripe
        kind: payout
    passes:
      - {{name: by-payout, type: exact, on: {{transactions: payout_ref, payouts: native_id}}}}
      - {{name: by-sums, type: grouped, on: {{transactions: payout_ref, payouts: native_id}}}}

  # Every payout reaches the bank.
  payouts-to-bank:
    kind: match
    sides:
      payouts:
        source: stripe
        kind: payout
        where: {{status: paid}}
      deposits:
        source: bank
        kind: bank_line
        where: {{category: {payout}}}
    passes:
      - {{name: by-payout, type: exact, on: {{payouts: native_id, deposits: reference}}}}
      - {{name: by-sums, type: grouped, on: {{payouts: native_id, deposits: reference}}}}

  # Every invoice is posted once as a receivable.
  invoices-to-ledger:
    kind: match
    sides:
      invoices:
        source: stripe
        kind: invoice
        where: {{status: [paid, open]}}
      postings:
        source: ledger
        kind: ledger_entry
        where: {{account: "{receivable}"}}
    passes:
      - name: by-number
        type: exact
        on: {{invoices: reference, postings: reference}}
        unique: [postings]
      - {{name: by-sums, type: grouped, on: {{invoices: reference, postings: reference}}}}
"""


def month_configuration() -> str:
    """The YAML text; file patterns are relative to it and leave the folder `late/` to be delivered by name."""
    return _TEXT.format(zone=LEDGER_ZONE, payout=PAYOUT_CODE, transfer=TRANSFER_CODE, receivable=RECEIVABLE)
