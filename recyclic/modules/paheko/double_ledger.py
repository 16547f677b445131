"""The books of the stand-in for Paheko: what a real one accepts, refuses, rounds and silently changes."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime
from threading import RLock
from typing import Any

from recyclic.modules.paheko import double_schema as schema
from recyclic.modules.paheko.double_values import TYPES, Refusal, cents, day, euros, short, transaction_type

OPEN, CLOSED, LOCKED = 0, 1, 2
_MONEY = (schema.CASH, schema.OUTSTANDING)
_FAMILIES = {  # type → the account types that its credit and its debit side belong to
    1: ((schema.REVENUE,), _MONEY),
    2: (_MONEY, (schema.EXPENSE,)),
    3: (_MONEY, _MONEY),
    4: ((schema.THIRD_PARTY,), (schema.EXPENSE,)),
    5: ((schema.REVENUE,), (schema.THIRD_PARTY,)),
}
_NAMES = {0: "Avancé", 1: "Recette", 2: "Dépense", 3: "Virement", 4: "Dette", 5: "Créance"}

Row = dict[str, Any]


class Ledger:
    """One association's books in a SQLite of its own. Safe to read from another thread than the server's."""

    def __init__(self) -> None:
        self.lock = RLock()
        self._db = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.execute("PRAGMA foreign_keys = ON")
        schema.create(self._db)

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def rows(self, sql: str, *values: Any) -> list[Row]:
        """Return what a query finds."""
        with self.lock:
            return [dict(row) for row in self._db.execute(sql, values)]

    def run(self, sql: str, *values: Any) -> int:
        """Write, and return the new row's id."""
        with self.lock:
            return self._db.execute(sql, values).lastrowid or 0

    # -- accounting/transaction

    def book(self, params: Row) -> int:
        """Save a transaction and return its id. What `params` links comes after the save: a wrong link is too late."""
        with self.lock:
            transaction = self._import(params, {})
            lines = transaction.pop("lines")
            new = self.run(
                "INSERT INTO acc_transactions (type, label, notes, reference, date, id_year) VALUES (?, ?, ?, ?, ?, ?)",
                *(transaction[key] for key in ("type", "label", "notes", "reference", "date", "id_year")),
            )
            self._save_lines(new, lines)
            self._link(new, params)
            return new

    def edit(self, transaction_id: int, params: Row) -> None:
        """Change a saved transaction."""
        with self.lock:
            transaction = self._import(params, self.transaction(transaction_id))
            lines = transaction.pop("lines")
            self.run(
                "UPDATE acc_transactions SET type = ?, label = ?, notes = ?, reference = ?, date = ?, id_year = ?"
                " WHERE id = ?",
                *(transaction[key] for key in ("type", "label", "notes", "reference", "date", "id_year")),
                transaction_id,
            )
            self.run("DELETE FROM acc_transactions_lines WHERE id_transaction = ?", transaction_id)
            self._save_lines(transaction_id, lines)
            self._link(transaction_id, params)

    def transaction(self, transaction_id: int) -> Row:
        """Return a transaction as the API shows it, amounts in cents."""
        found = self.rows("SELECT * FROM acc_transactions WHERE id = ?", transaction_id)
        if not found:
            raise Refusal(404, f"Transaction #{transaction_id} not found")
        lines = self.rows(
            "SELECT l.*, a.code AS account_code, a.label AS account_label, a.position AS account_position,"
            " a.type AS account_type FROM acc_transactions_lines l JOIN acc_accounts a ON a.id = l.id_account"
            " WHERE l.id_transaction = ? ORDER BY l.id",
            transaction_id,
        )
        moment = {"date": f"{found[0]['date']} 00:00:00.000000", "timezone_type": 3, "timezone": "Europe/Paris"}
        url = f"/admin/acc/transactions/details.php?id={transaction_id}"
        return {**found[0], "date": moment, "url": url, "lines": lines}

    def journal(self, year_id: int) -> list[Row]:
        """Return a year's transactions with their lines, by date."""
        found = self.rows("SELECT id FROM acc_transactions WHERE id_year = ? ORDER BY date, id", year_id)
        keys = ("id", "label", "date", "reference", "lines")
        return [{key: self.transaction(row["id"])[key] for key in keys} for row in found]

    def _import(self, params: Row, before: Row) -> Row:
        """Check everything in Paheko's order, and return what to save."""
        kind = transaction_type(params["type"]) if "type" in params else int(before.get("type", TYPES["ADVANCED"]))
        year = self._year_id(params) or before.get("id_year")
        if kind != TYPES["ADVANCED"] and ("amount" not in params or not cents(params["amount"])) and not before:
            raise Refusal(400, "Montant non précisé")
        given = _simple(params) if kind != TYPES["ADVANCED"] and "amount" in params else params.get("lines")
        if given is None and before:
            lines = before["lines"]
        else:
            lines = [self._line(number, line, year) for number, line in enumerate(given or [], 1)]
        when = day(params["date"]) if "date" in params else None
        if when is None and before:
            when = date.fromisoformat(before["date"]["date"][:10])
        texts = {key: params.get(key, before.get(key)) for key in ("label", "reference", "notes")}
        self._check_texts(texts, year)
        if when is None:
            raise Refusal(400, "Le champ date ne peut rester vide.")
        status = self._check_year(year, when)
        kind = self._check_lines(kind, lines)
        if status != OPEN:
            word = "clôturé" if status == CLOSED else "verrouillé"
            raise Refusal(400, f"Impossible de modifier un exercice {word}.")
        return {**texts, "type": kind, "date": when.isoformat(), "id_year": year, "lines": lines}

    def _year_id(self, params: Row) -> int | None:
        wanted = params.get("id_year")
        if wanted is None:
            return None
        if wanted == "current" or (wanted == "match" and "date" not in params):
            today = datetime.now(UTC).date().isoformat()
            sql = (
                "SELECT id FROM acc_years WHERE status = 0"
                " ORDER BY start_date <= ? AND end_date >= ? DESC, start_date DESC"
            )
            found = self.rows(sql, today, today)
        elif wanted == "match":
            when = day(params["date"]).isoformat()
            sql = "SELECT id FROM acc_years WHERE status = 0 AND start_date <= ? AND end_date >= ? ORDER BY start_date"
            found = self.rows(sql, when, when)
        else:
            return int(wanted) if str(wanted).isdigit() else None
        if not found:
            raise Refusal(400, f'Cannot find a valid open year matching "{wanted}"')
        return int(found[0]["id"])

    def _line(self, number: int, line: Row, year: int | None) -> Row:
        code = line.get("account")
        if code is None:
            raise Refusal(400, f"Ligne {number} : aucun compte n'a été sélectionné")
        if not year:
            raise Refusal(400, "L'identifiant de l'exercice comptable n'est pas précisé.")
        found = self.rows("SELECT id, type FROM acc_accounts WHERE code = ?", str(code))
        if not found:
            raise Refusal(400, f'Le compte avec le code "{code}" sur la ligne {number} n\'existe pas.')
        return {
            "id_account": found[0]["id"],
            "account_type": found[0]["type"],
            "debit": cents(line.get("debit")),
            "credit": cents(line.get("credit")),
            "reference": line.get("reference"),
            "label": line.get("label"),
        }

    @staticmethod
    def _check_texts(texts: Row, year: int | None) -> None:
        """Lengths are bytes of UTF-8: PHP's strlen."""
        if not year:
            raise Refusal(400, "L'ID de l'exercice doit être renseigné.")
        if not str(texts["label"] or "").strip():
            raise Refusal(400, "Le champ libellé ne peut rester vide.")
        for key, name, limit in (
            ("label", "libellé", 200),
            ("reference", "numéro de pièce comptable", 200),
            ("notes", "remarques", 2000),
        ):
            if len(str(texts[key] or "").encode()) > limit:
                raise Refusal(400, f"Le champ {name} ne peut faire plus de {limit} caractères.")

    def _check_year(self, year_id: int | None, when: date) -> int:
        found = self.rows("SELECT * FROM acc_years WHERE id = ?", year_id)
        if not found:
            raise Refusal(400, "L'ID de l'exercice doit être renseigné.")
        start, end = (date.fromisoformat(found[0][key]) for key in ("start_date", "end_date"))
        if not start <= when <= end:
            raise Refusal(
                400,
                f"La date ({short(when)}) de l'écriture ne correspond pas à l'exercice \"{found[0]['label']}\" : "
                f"la date doit être entre le {short(start)} et le {short(end)}.",
            )
        return int(found[0]["status"])

    @staticmethod
    def _check_lines(kind: int, lines: list[Row]) -> int:
        """Return the type: an account outside the type's family makes it an advanced one, without a word."""
        if not lines:
            raise Refusal(400, "Cette écriture ne comporte aucune ligne.")
        if len(lines) == 1:
            raise Refusal(400, "Cette écriture comporte moins de deux lignes.")
        if len(lines) > 2 and kind != TYPES["ADVANCED"]:
            raise Refusal(400, f'Une écriture de type "{_NAMES[kind]}" ne peut comporter que deux lignes au maximum.')
        for number, line in enumerate(lines, 1):
            if not line["credit"] and not line["debit"]:
                raise Refusal(400, f"Ligne {number}: Aucun montant au débit ou au crédit")
            if line["credit"] and line["debit"]:
                raise Refusal(400, f"Ligne {number}: non équilibrée, crédit ou débit doit valoir zéro.")
        if kind in _FAMILIES:
            credit, debit = _FAMILIES[kind]
            if any(line["account_type"] not in (credit if line["credit"] else debit) for line in lines):
                kind = TYPES["ADVANCED"]
        if total := sum(line["credit"] - line["debit"] for line in lines):
            raise Refusal(400, f"Écriture non équilibrée : déséquilibre ({euros(total)}) entre débits et crédits")
        return kind

    def _save_lines(self, transaction_id: int, lines: list[Row]) -> None:
        for line in lines:
            self.run(
                "INSERT INTO acc_transactions_lines (id_transaction, id_account, credit, debit, reference, label)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                transaction_id,
                *(line[key] for key in ("id_account", "credit", "debit", "reference", "label")),
            )

    def _link(self, transaction_id: int, params: Row) -> None:
        """Link members and other transactions; the transaction is already saved when this refuses."""
        for user in params.get("linked_users") or []:
            if not self.rows("SELECT 1 FROM users WHERE id = ?", int(user)):
                raise Refusal(400, f"User ID does not exist: {int(user)}")
            self.run(
                "INSERT OR IGNORE INTO acc_transactions_users (id_transaction, id_user) VALUES (?, ?)",
                transaction_id,
                int(user),
            )
        for other in params.get("linked_transactions") or []:
            if not self.rows("SELECT 1 FROM acc_transactions WHERE id = ?", int(other)):
                raise Refusal(400, f"Transaction ID does not exist: {int(other)}")
            self.run("INSERT INTO acc_transactions_links VALUES (?, ?)", transaction_id, int(other))

    # -- years, sql

    def years(self) -> list[Row]:
        """Return every year with its number of transactions, the latest first."""
        return self.rows(
            "SELECT y.*, (SELECT COUNT(*) FROM acc_transactions WHERE id_year = y.id) AS nb_transactions,"
            " c.label AS chart_name FROM acc_years y JOIN acc_charts c ON c.id = y.id_chart ORDER BY end_date DESC"
        )

    def current_year(self) -> int | None:
        """Return the id of the open year that holds today, else of the latest open one."""
        try:
            return self._year_id({"id_year": "current"})
        except Refusal:
            return None

    def select(self, sql: str) -> list[Row]:
        """Run a SELECT for the `sql` endpoint; nothing else passes."""
        if not sql.strip():
            raise Refusal(400, "Missing SQL statement")
        with self.lock:
            self._db.execute("PRAGMA query_only = ON")
            try:
                if not sql.lstrip().lower().startswith(("select", "with")):
                    raise Refusal(400, "Error in SQL statement: Only SELECT statements are allowed")
                return [dict(row) for row in self._db.execute(sql).fetchmany(1000)]
            except (sqlite3.Error, sqlite3.Warning) as error:
                raise Refusal(400, f"Error in SQL statement: {error}") from error
            finally:
                self._db.execute("PRAGMA query_only = OFF")

    # -- user/new

    def add_user(self, params: Row) -> Row:
        """Save a member, and return it as the API shows it."""
        with self.lock:
            name, email = str(params.get("nom") or "").strip(), str(params.get("email") or "").strip() or None
            number = str(params.get("numero") or "")
            if not number.isdigit():
                number = str(self.rows("SELECT COALESCE(MAX(numero), 0) + 1 AS next FROM users")[0]["next"])
            if not params.get("force_duplicate") and self.rows("SELECT 1 FROM users WHERE nom LIKE ?", name):
                raise Refusal(409, "This user seems to be a duplicate of an existing one")
            category = int(params.get("id_category") or 1)
            if not self.rows("SELECT 1 FROM users_categories WHERE id = ? AND perm_config = 0", category):
                raise Refusal(403, "You are not allowed to create a user in this category")
            if not name:
                raise Refusal(400, '"Nom, prénom" : ce champ est requis')
            if self.rows("SELECT 1 FROM users WHERE numero = ?", int(number)):
                raise Refusal(400, f"Le numéro de membre {number} est déjà attribué à un autre membre.")
            if email and self.rows("SELECT 1 FROM users WHERE email = ? COLLATE NOCASE", email):
                raise Refusal(
                    400,
                    'Le champ "Adresse E-Mail" (utilisé comme identifiant de connexion) est déjà utilisé par un autre'
                    " membre. Il doit être unique pour chaque membre.",
                )
            new = self.run(
                "INSERT INTO users (id_category, numero, nom, email) VALUES (?, ?, ?, ?)",
                category,
                int(number),
                name,
                email,
            )
            return {"has_password": False, "has_otp": False, "has_pgp_key": False, **self.user(new)}

    def user(self, user_id: int) -> Row:
        """Return one member."""
        found = self.rows("SELECT * FROM users WHERE id = ?", user_id)
        if not found:
            raise Refusal(404, "The requested user ID does not exist")
        return found[0]


def _simple(params: Row) -> list[Row]:
    """Turn the simple form (`amount`, `debit`, `credit`) into its two lines."""
    shared = {"reference": params.get("payment_reference")}
    return [
        {**shared, "account": params.get("credit"), "credit": params["amount"]},
        {**shared, "account": params.get("debit"), "debit": params["amount"]},
    ]
