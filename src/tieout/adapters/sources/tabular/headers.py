"""Words that stand above columns, by language: the data from which a table's columns are recognised.

A role is a draft column or one of the helper roles credit, debit, sign, clock, value_date, balance, journal and
zone_name. Words are folded by `fold`; earlier words win where a file has several. Only whole headers count, so that
"transfer amount" is not taken for "amount". To teach Tieout a header, add it here with its language.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Final

from tieout.model.money import EXPONENTS

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "date": {
        "en": "booking date; posted date; posting date; post date; date; transaction date; txn date; trans date; "
        "invoice date; payment date; paid at; created; created at; created utc; created date utc; journal date; "
        "effective date; order date; entry date; due date; completed date; date posted; available on",
        "de": "buchungstag; buchungsdatum; datum; belegdatum; rechnungsdatum",
        "fr": "date operation; date d operation; date de comptabilisation; date comptable; date; date facture",
        "es": "fecha; fecha operacion; fecha de operacion; fecha contable; f operacion",
        "da": "bogforingsdato; dato; bogfort; posteringsdato",
        "nl": "boekdatum; boekingsdatum; datum; transactiedatum",
        "it": "data contabile; data operazione; data; data registrazione",
        "pt": "data lancamento; data do lancamento; data movimento; data mov; data; data da operacao",
        "ja": "日付; 取引日; 取扱日; 年月日; お取引日; 計上日; 勘定日; 利用日",
    },
    "value_date": {
        "en": "value date; valuta date",
        "de": "wertstellung; valuta; valutadatum; wert",
        "fr": "date de valeur; date valeur",
        "es": "fecha valor; f valor; fecha de valor",
        "da": "valor; valordato; rentedato",
        "nl": "valutadatum; rentedatum",
        "it": "data valuta; valuta",
        "pt": "data valor; data de valor",
        "ja": "起算日",
    },
    "clock": {
        "en": "time; transaction time; posting time",
        "de": "uhrzeit; zeit; buchungszeit",
        "fr": "heure",
        "es": "hora",
        "da": "klokkeslaet; tidspunkt",
        "nl": "tijd; tijdstip",
        "it": "ora; orario",
        "pt": "hora",
        "ja": "時刻; 取引時刻",
    },
    "zone_name": {"en": "time zone; timezone; tz", "de": "zeitzone"},
    "amount": {
        "en": "amount; transaction amount; total amount; net amount; gross amount; total; gross; value; sum; "
        "amount paid; payment amount; invoice amount; invoice total; amt; original amount; price",
        "de": "betrag; umsatz; buchungsbetrag; summe; brutto; rechnungsbetrag; gesamtbetrag",
        "fr": "montant; montant operation; montant de l operation; montant ttc; total",
        "es": "importe; monto; cantidad; importe total",
        "da": "belob; transaktionsbelob",
        "nl": "bedrag; transactiebedrag; totaalbedrag",
        "it": "importo; ammontare; totale",
        "pt": "valor; montante; importancia; quantia; valor total",
        "ja": "金額; 取引金額; 利用金額",
    },
    "credit": {
        "en": "credit; credit amount; credits; deposit; deposits; deposit amount; money in; paid in; received; "
        "amount in; cr amount; in",
        "de": "haben; gutschrift; eingang; gutschriften; einzahlung",
        "fr": "credit; montant credit; credits; entree",
        "es": "abono; abonos; haber; ingreso; ingresos; credito",
        "da": "kredit; indsat; ind",
        "nl": "credit; bij bedrag; bijschrijving; ontvangen",
        "it": "avere; entrate; accrediti; accredito; credito",
        "pt": "credito; creditos; entradas",
        "ja": "入金; 入金額; お預り金額; お預かり金額; 預り金額; 入金金額; 預入額; お預入れ金額",
    },
    "debit": {
        "en": "debit; debit amount; debits; withdrawal; withdrawals; withdrawal amount; money out; paid out; spent; "
        "amount out; dr amount; out",
        "de": "soll; lastschrift; ausgang; belastung; belastungen; auszahlung",
        "fr": "debit; montant debit; debits; sortie",
        "es": "cargo; cargos; debe; gasto; gastos; debito",
        "da": "debet; haevet; ud",
        "nl": "debet; af bedrag; afschrijving; uitgegeven",
        "it": "dare; uscite; addebiti; addebito; debito",
        "pt": "debito; debitos; saidas",
        "ja": "出金; 出金額; お支払金額; お引出し金額; 支払金額; 出金金額; 引出額; お引出金額",
    },
    "sign": {
        "en": "debit credit; credit debit; dr cr; cr dr; debit credit indicator; credit debit indicator; "
        "transaction type; type; direction; d c; c d; debit or credit; indicator",
        "de": "soll haben; s h; sh; soll haben kennzeichen; kennzeichen",
        "fr": "sens; debit credit",
        "es": "tipo; debe haber; signo",
        "da": "debet kredit",
        "nl": "af bij; debet credit",
        "it": "dare avere; segno; tipo",
        "pt": "tipo; debito credito; d c",
        "ja": "入出金; 入出金区分; 入払区分",
    },
    "currency": {
        "en": "currency; ccy; cur; currency code; transaction currency; iso currency; amount currency",
        "de": "wahrung; waehrung; whg",
        "fr": "devise; monnaie; monn",
        "es": "moneda; divisa",
        "da": "valuta; mont",
        "nl": "munt; valuta; muntsoort",
        "it": "divisa; valuta; moneta",
        "pt": "moeda; divisa",
        "ja": "通貨",
    },
    "native_id": {
        "en": "id; transaction id; txn id; payment id; charge id; balance transaction id; payout id; refund id; "
        "dispute id; order id; order number; entry id; record id; unique id; uuid; guid; fitid; transaction number; "
        "transaction no; row",
        "de": "transaktions id; transaktionsnummer; transaktions nr; buchungs id; umsatz id; vorgangsnummer",
        "fr": "n de transaction; numero de transaction; no de transaction; id transaction; identifiant",
        "es": "id transaccion; numero de transaccion; id de transaccion; numero de movimiento",
        "da": "transaktions id; transaktionsnummer",
        "nl": "transactie id; transactienummer; volgnr; volgnummer",
        "it": "id transazione; numero transazione; id operazione",
        "pt": "id transacao; numero da transacao; id da transacao",
        "ja": "取引番号; 取引id; 明細番号",
    },
    "invoice_number": {
        "en": "invoice number; invoice no; invoice nr; invoice",
        "de": "rechnungsnummer; rechnungs nr; rechnungsnr; belegnummer",
        "fr": "numero de facture; n de facture; n facture; no facture",
        "es": "numero de factura; n factura; factura; no factura",
        "da": "fakturanummer; faktura nr",
        "nl": "factuurnummer; factuurnr",
        "it": "numero fattura; n fattura; nr fattura",
        "pt": "numero da fatura; n fatura; fatura; numero fatura",
        "ja": "請求書番号; 請求番号",
    },
    "invoice_ref": {"en": "invoice id; invoice ref; invoice reference; bill id"},
    "payment_ref": {"en": "payment intent id; payment intent; payment ref; charge; source id; charge ref"},
    "payout_ref": {"en": "transfer; automatic payout id; payout; transfer id; payout ref"},
    "subscription_ref": {"en": "subscription id; subscription"},
    "order_ref": {
        "en": "order ref; order reference; order; purchase order; po number; order id; order number",
        "de": "bestellnummer; auftragsnummer",
        "fr": "numero de commande; commande",
        "es": "numero de pedido; pedido",
        "nl": "ordernummer; bestelnummer",
        "ja": "注文番号",
    },
    "customer_ref": {
        "en": "customer id; customer; customer number; client id; customer ref; account id; customer no",
        "de": "kundennummer; kunden nr; kunden id",
        "fr": "numero client; id client; client",
        "es": "id cliente; numero de cliente; cliente",
        "da": "kundenummer",
        "nl": "klantnummer; klant id",
        "it": "codice cliente; id cliente",
        "pt": "id cliente; codigo do cliente; numero do cliente",
        "ja": "顧客番号; 顧客id; 得意先コード",
    },
    "reference": {
        "en": "reference; ref; payment reference; reference id; reference number; reference no; bank reference; "
        "end to end id; client reference; customer reference; sepa reference; check number; cheque number; "
        "checknumber; num; document number; remittance",
        "de": "referenz; kundenreferenz; zahlungsreferenz; mandatsreferenz; end to end referenz; "
        "kundenreferenz end to end",
        "fr": "reference; ref; numero de piece",
        "es": "referencia; ref; referencia 1; numero de documento",
        "da": "reference; referencenummer",
        "nl": "kenmerk; referentie; betalingskenmerk",
        "it": "riferimento; rif; causale riferimento",
        "pt": "referencia; ref; numero do documento; documento",
        "ja": "照会番号; 参照番号; 整理番号",
    },
    "description": {
        "en": "description; details; desc; narrative; memo; transaction description; reason; particulars; items; "
        "original description; text; additional information; transaction details; statement description",
        "de": "verwendungszweck; vwz; buchungstext; beschreibung; text; vorgang",
        "fr": "libelle; description; designation; motif; details; libelle operation",
        "es": "concepto; descripcion; detalle; movimiento; observaciones",
        "da": "tekst; beskrivelse; posteringstekst",
        "nl": "omschrijving; mededelingen; beschrijving; naam omschrijving",
        "it": "descrizione; causale; descrizione operazione",
        "pt": "descricao; historico; descritivo; descricao da operacao",
        "ja": "摘要; 内容; 取引内容; お取り扱い内容; 備考; 適用; 摘要内容; 取扱内容",
    },
    "counterparty": {
        "en": "counterparty; partner name; payee; payer; name; beneficiary; counterparty name; merchant; "
        "merchant name; to; customer name; customer description; vendor; remitter; payee name; sender",
        "de": "auftraggeber empfanger; auftraggeber; empfanger; beguenstigter zahlungspflichtiger; "
        "begunstigter zahlungspflichtiger; name; zahlungsempfanger; name zahlungsbeteiligter",
        "fr": "beneficiaire; tiers; emetteur; nom; contrepartie",
        "es": "beneficiario; ordenante; nombre; contrapartida",
        "da": "modtager; afsender; navn",
        "nl": "tegenpartij; naam tegenpartij; begunstigde; naam",
        "it": "beneficiario; ordinante; controparte; nome",
        "pt": "beneficiario; ordenante; nome; contraparte",
        "ja": "相手先; 取引先; 振込依頼人; 依頼人名; 店名",
    },
    "account": {
        "en": "account; account number; iban; account name; card no; account no; bank account; account iban",
        "de": "kontonummer; konto; iban; iban auftragskonto; auftragskonto; kontonr",
        "fr": "compte; numero de compte; n de compte; produit; iban",
        "es": "cuenta; numero de cuenta; iban",
        "da": "konto; kontonummer",
        "nl": "rekening; rekeningnummer; iban bban",
        "it": "conto; numero conto; conto corrente",
        "pt": "conta; numero da conta",
        "ja": "口座; 口座番号",
    },
    "status": {
        "en": "status; state; transaction status; payment status",
        "fr": "statut; etat",
        "es": "estado",
        "it": "stato",
        "pt": "estado",
        "ja": "状態; ステータス",
    },
    "category": {
        "en": "category; type; transaction type; reporting category; class; subcategory",
        "de": "kategorie; umsatzart; buchungsart",
        "fr": "categorie; type",
        "es": "categoria",
        "da": "kategori",
        "nl": "categorie; mutatiesoort",
        "it": "categoria",
        "pt": "categoria",
        "ja": "分類; カテゴリ; 区分",
    },
    "fee": {
        "en": "fee; fees; transaction fee; processing fee; fee amount; stripe fee",
        "de": "gebuhr; gebuhren; entgelt",
        "fr": "frais; commission",
        "es": "comision",
        "da": "gebyr",
        "nl": "kosten",
        "it": "commissione; commissioni",
        "pt": "comissao; taxa",
        "ja": "手数料",
    },
    "net": {"en": "net; net amount received; payout amount", "de": "netto; nettobetrag"},
    "balance": {
        "en": "balance; running balance; balance after; closing balance; account balance; ledger balance",
        "de": "saldo; kontostand; saldo nach buchung",
        "fr": "solde",
        "es": "saldo",
        "da": "saldo",
        "nl": "saldo; saldo na mutatie; saldo na trn",
        "it": "saldo",
        "pt": "saldo",
        "ja": "残高; 差引残高; お預り残高",
    },
    "journal": {
        "en": "journal number; journal no; journal id; journal entry; ledger account; gl account; entry number",
        "de": "buchungsnummer; sachkonto",
    },
}
"""Role, then language (ISO 639-1), then headers separated by semicolons."""

DEBIT_WORDS: Final = frozenset(
    word
    for words in (
        "debit debits dr d s soll withdrawal out outgoing cargo debe dare af debet",
        "udbetaling addebito debito saida 出金 引出 支払 出",
    )
    for word in words.split()
)
CREDIT_WORDS: Final = frozenset(
    word
    for words in (
        "credit credits cr c h haben deposit in incoming abono haber avere bij kredit",
        "indbetaling accredito credito entrada 入金 預入 入",
    )
    for word in words.split()
)
"""Folded words of a column that says which way money went."""

_SYMBOLS: Final = {"€": "EUR", "£": "GBP"}
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_CODE = re.compile(r"[(\[]\s*([A-Z]{3}|[€£])\s*[)\]]\s*$|[\s_-](?:in\s+)?([A-Z]{3}|[€£])\s*$")


def fold(text: str) -> str:
    """A header as it is compared: lower case, no accents, every run of other characters one space."""
    apart = unicodedata.normalize("NFKD", _CAMEL.sub(" ", text.strip()))
    plain = "".join(character for character in apart if not unicodedata.combining(character))
    plain = plain.casefold().replace("ø", "o").replace("æ", "ae").replace("œ", "oe")
    return " ".join("".join(character if character.isalnum() else " " for character in plain).split())


def header_currency(header: str) -> tuple[str | None, str]:
    """A currency that a header names, and the header without it: "Amount (EUR)" gives ("EUR", "Amount")."""
    match = _CODE.search(header.strip())
    if match is None:
        return None, header
    code = match.group(1) or match.group(2)
    code = _SYMBOLS.get(code, code)
    return (code, header.strip()[: match.start()]) if code in EXPONENTS else (None, header)


def roles_of(header: str) -> list[str]:
    """Every role that a header may have, in the order of the table; the number in "VWZ 3" is left aside."""
    folded = fold(header_currency(header)[1])
    table = _table()
    return table.get(folded) or table.get(folded.rstrip("0123456789 ") or folded) or []


def role_of(header: str) -> str | None:
    """The first role that a header may have, or None for an unknown header."""
    roles = roles_of(header)
    return roles[0] if roles else None


def rank(role: str, header: str) -> int:
    """How well a header fits a role it has: smaller is better."""
    folded = fold(header_currency(header)[1])
    order = _ranks()[role]
    return order.get(folded, order.get(folded.rstrip("0123456789 "), len(order)) + 1)


def languages_of(headers: list[str]) -> set[str]:
    """Languages in which at least one of the headers is known and which English does not share."""
    found: set[str] = set()
    for header in headers:
        folded = fold(header_currency(header)[1])
        known = _languages().get(folded, set()) | _languages().get(folded.rstrip("0123456789 "), set())
        found |= known if "en" not in known else {"en"}
    return found


@cache
def _table() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for role, languages in WORDS.items():
        for words in languages.values():
            for word in words.split(";"):
                roles = found.setdefault(fold(word), [])
                if role not in roles:
                    roles.append(role)
    return found


@cache
def _ranks() -> dict[str, dict[str, int]]:
    ranks: dict[str, dict[str, int]] = {}
    for role, languages in WORDS.items():
        order = ranks.setdefault(role, {})
        for words in languages.values():
            for place, word in enumerate(words.split(";")):
                order.setdefault(fold(word), 2 * place)
    return ranks


@cache
def _languages() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for languages in WORDS.values():
        for language, words in languages.items():
            for word in words.split(";"):
                found.setdefault(fold(word), set()).add(language)
    return found
