"""Bank statements as ISO 20022 camt.053.001.08: one statement for each account and day, balances carried on.

Balances include lines that a fault keeps off the statement: a bank's balance knows what its export forgot.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.sax.saxutils import escape

from tieout.model.money import decimal_text
from tieout.simulate import layout
from tieout.simulate.book import CURRENCIES, BankLine, Book

OPENING = {"USD": 18_432_055, "EUR": 6_120_418, "GBP": 3_907_733, "JPY": 2_450_000}
ACCOUNTS = {"USD": "8800417701", "EUR": "8800417702", "GBP": "8800417703", "JPY": "8800417704"}
OWNER = "Quillstone Software Inc"
LATE_DAYS = 4
"""Days after the month that the late statements cover."""


def statement_id(book: Book, currency: str, day: int) -> str:
    """The statement of an account's day: USD-2026-09-14."""
    return f"{currency}-{book.date_of(day).isoformat()}"


def statement_files(book: Book) -> dict[str, str]:
    """Relative path to content of every statement file: the months', the missing days', the late days'."""
    files: dict[str, str] = {}
    for currency in CURRENCIES:
        missing = [day for account, day in book.missing_statements if account == currency]
        days = [day for day in range(book.days) if day not in missing]
        files[layout.bank_file(book, currency)] = _document(book, currency, days)
        for day in missing:
            files[layout.bank_gap(book, currency, day)] = _document(book, currency, [day])
        if any(line.currency == currency and line.day >= book.days for line in book.bank_lines):
            late_days = list(range(book.days, book.days + LATE_DAYS))
            files[layout.bank_late(book, currency)] = _document(book, currency, late_days)
    return files


def _document(book: Book, currency: str, days: list[int]) -> str:
    by_day: dict[int, list[BankLine]] = {}
    balance = OPENING[currency]
    for line in book.bank_lines:
        if line.currency == currency:
            by_day.setdefault(line.day, []).append(line)
            balance += line.amount if line.day < days[0] else 0
    wanted = set(days)
    statements = []
    for day in range(days[0], days[-1] + 1):
        lines = by_day.get(day, [])
        closing = balance + sum(line.amount for line in lines)
        if day in wanted:
            statements.append(_statement(book, currency, day, (balance, closing), lines))
        balance = closing
    created = f"{book.date_of(days[-1] + 1).isoformat()}T04:15:00+00:00"
    name = f"{currency}-{book.date_of(days[0]).isoformat()}-{len(days)}"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">\n'
        "<BkToCstmrStmt>\n"
        f"<GrpHdr><MsgId>{name}</MsgId><CreDtTm>{created}</CreDtTm></GrpHdr>\n"
        + "".join(statements)
        + "</BkToCstmrStmt>\n</Document>\n"
    )


def _statement(book: Book, currency: str, day: int, balances: tuple[int, int], lines: Iterable[BankLine]) -> str:
    date = book.date_of(day).isoformat()
    entries = [_entry(line, date) for line in lines if line.on_statement]
    sequence = book.date_of(day).timetuple().tm_yday
    return (
        f"<Stmt><Id>{statement_id(book, currency, day)}</Id><ElctrncSeqNb>{sequence}</ElctrncSeqNb>"
        f"<CreDtTm>{date}T22:00:00+00:00</CreDtTm>"
        f"<FrToDt><FrDtTm>{date}T00:00:00+00:00</FrDtTm><ToDtTm>{date}T23:59:59+00:00</ToDtTm></FrToDt>\n"
        f"<Acct><Id><Othr><Id>{ACCOUNTS[currency]}</Id></Othr></Id><Ccy>{currency}</Ccy>"
        f"<Ownr><Nm>{OWNER}</Nm></Ownr></Acct>\n"
        f"{_balance('OPBD', balances[0], currency, date)}{_balance('CLBD', balances[1], currency, date)}"
        f"{''.join(entries)}</Stmt>\n"
    )


def _balance(code: str, amount: int, currency: str, date: str) -> str:
    return (
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_amount(amount, currency)}"
        f"<CdtDbtInd>{_direction(amount)}</CdtDbtInd><Dt><Dt>{date}</Dt></Dt></Bal>\n"
    )


def _amount(amount: int, currency: str) -> str:
    return f'<Amt Ccy="{currency}">{decimal_text(abs(amount), currency)}</Amt>'


def _direction(amount: int) -> str:
    return "CRDT" if amount >= 0 else "DBIT"


def _entry(line: BankLine, date: str) -> str:
    domain, family, detail = line.code.split("-")
    kind = f"<Fmly><Cd>{family}</Cd><SubFmlyCd>{detail}</SubFmlyCd></Fmly>"
    code = f"<BkTxCd><Domn><Cd>{domain}</Cd>{kind}</Domn></BkTxCd>"
    return (
        f"<Ntry><NtryRef>{line.reference}</NtryRef>{_amount(line.amount, line.currency)}"
        f"<CdtDbtInd>{_direction(line.amount)}</CdtDbtInd><Sts><Cd>BOOK</Cd></Sts>"
        f"<BookgDt><Dt>{date}</Dt></BookgDt><ValDt><Dt>{date}</Dt></ValDt>"
        f"<AcctSvcrRef>{line.reference}</AcctSvcrRef>{code}"
        f"<NtryDtls><TxDtls>{_details(line)}</TxDtls></NtryDtls></Ntry>\n"
    )


def _details(line: BankLine) -> str:
    """References, amount, the other party and the remittance text, in the order of the schema."""
    references = f"<Refs><EndToEndId>{escape(line.end_to_end or 'NOTPROVIDED')}</EndToEndId></Refs>"
    money = f"{_amount(line.amount, line.currency)}<CdtDbtInd>{_direction(line.amount)}</CdtDbtInd>"
    role = "Dbtr" if line.amount >= 0 else "Cdtr"
    party = f"<{role}><Pty><Nm>{escape(line.counterparty)}</Nm></Pty></{role}>"
    parties = f"<RltdPties>{party}</RltdPties>" if line.counterparty else ""
    structured = (
        f"<Strd><CdtrRefInf><Ref>{escape(line.creditor_reference)}</Ref></CdtrRefInf></Strd>"
        if line.creditor_reference
        else ""
    )
    return f"{references}{money}{parties}<RmtInf><Ustrd>{escape(line.text)}</Ustrd>{structured}</RmtInf>"
