"""The tables of the stand-in for Paheko, named and shaped as Paheko's own, and what a new association starts with."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime

REVENUE, EXPENSE, CASH, OUTSTANDING, THIRD_PARTY, OTHER = 6, 5, 2, 3, 4, 0

SCHEMA = """
CREATE TABLE acc_charts (
    id INTEGER PRIMARY KEY, code TEXT, country TEXT, label TEXT NOT NULL, archived INTEGER DEFAULT 0);
CREATE TABLE acc_accounts (
    id INTEGER PRIMARY KEY, id_chart INTEGER NOT NULL REFERENCES acc_charts (id), code TEXT NOT NULL,
    label TEXT NOT NULL, description TEXT, position INTEGER NOT NULL, type INTEGER NOT NULL DEFAULT 0,
    user INTEGER NOT NULL DEFAULT 1, bookmark INTEGER NOT NULL DEFAULT 0, UNIQUE (code, id_chart));
CREATE TABLE acc_years (
    id INTEGER PRIMARY KEY, label TEXT NOT NULL, start_date TEXT NOT NULL, end_date TEXT NOT NULL,
    status INTEGER NOT NULL DEFAULT 0, id_chart INTEGER NOT NULL REFERENCES acc_charts (id));
CREATE TABLE users_categories (id INTEGER PRIMARY KEY, name TEXT NOT NULL, perm_config INTEGER NOT NULL DEFAULT 0);
CREATE TABLE users (
    id INTEGER PRIMARY KEY, id_category INTEGER NOT NULL REFERENCES users_categories (id), numero INTEGER UNIQUE,
    nom TEXT NOT NULL, email TEXT, adresse TEXT, code_postal TEXT, ville TEXT, telephone TEXT, date_inscription TEXT);
CREATE TABLE acc_transactions (
    id INTEGER PRIMARY KEY, type INTEGER NOT NULL DEFAULT 0, status INTEGER NOT NULL DEFAULT 0, label TEXT NOT NULL,
    notes TEXT, reference TEXT, date TEXT NOT NULL, hash TEXT, prev_id INTEGER, prev_hash TEXT,
    id_year INTEGER NOT NULL REFERENCES acc_years (id), id_creator INTEGER REFERENCES users (id));
CREATE TABLE acc_transactions_lines (
    id INTEGER PRIMARY KEY, id_transaction INTEGER NOT NULL REFERENCES acc_transactions (id) ON DELETE CASCADE,
    id_account INTEGER NOT NULL REFERENCES acc_accounts (id), credit INTEGER NOT NULL, debit INTEGER NOT NULL,
    reference TEXT, label TEXT, reconciled INTEGER NOT NULL DEFAULT 0, id_project INTEGER, id_letter INTEGER,
    status INTEGER NOT NULL DEFAULT 0, CHECK (credit * debit = 0), CHECK (credit + debit > 0));
CREATE TABLE acc_transactions_users (
    id_user INTEGER NOT NULL REFERENCES users (id), id_transaction INTEGER NOT NULL REFERENCES acc_transactions (id),
    id_service_user INTEGER, UNIQUE (id_user, id_transaction));
CREATE TABLE acc_transactions_links (
    id_transaction INTEGER NOT NULL REFERENCES acc_transactions (id),
    id_related INTEGER NOT NULL REFERENCES acc_transactions (id));
"""

ACCOUNTS = (  # code, label, position (1 asset, 2 liability, 3 both, 4 expense, 5 revenue), type
    ("401", "Fournisseurs", 3, THIRD_PARTY),
    ("411", "Usagers", 3, THIRD_PARTY),
    ("5112", "Chèques à encaisser", 1, OUTSTANDING),
    ("5115", "Cartes à encaisser", 1, OUTSTANDING),
    ("530", "Caisse", 1, CASH),
    ("580", "Virements internes", 3, OTHER),
    ("606", "Achats non stockés", 4, EXPENSE),
    ("658", "Charges diverses de gestion courante", 4, EXPENSE),
    ("678", "Autres charges exceptionnelles", 4, EXPENSE),
    ("707", "Ventes de marchandises", 5, REVENUE),
    ("7073", "Ventes de dons en nature", 5, REVENUE),
    ("754", "Ressources liées à la générosité du public", 5, REVENUE),
    ("7541", "Dons manuels", 5, REVENUE),
    ("756", "Cotisations", 5, REVENUE),
    ("758", "Produits divers de gestion courante", 5, REVENUE),
    ("778", "Autres produits exceptionnels", 5, REVENUE),
)


def create(database: sqlite3.Connection) -> None:
    """Make the tables, the standard French chart, one member and an open year for every year from 2024 to the next."""
    database.executescript(SCHEMA)
    database.execute(
        "INSERT INTO acc_charts (code, country, label) VALUES ('pca_2018', 'FR', 'Plan comptable associatif')"
    )
    database.executemany(
        "INSERT INTO acc_accounts (id_chart, code, label, position, type) VALUES (1, ?, ?, ?, ?)", ACCOUNTS
    )
    for year in range(2024, max(2026, datetime.now(UTC).year) + 2):
        database.execute(
            "INSERT INTO acc_years (label, start_date, end_date, id_chart) VALUES (?, ?, ?, 1)",
            (f"Exercice {year}", f"{year}-01-01", f"{year}-12-31"),
        )
    database.execute("INSERT INTO users_categories (name) VALUES ('Membres actifs')")
    database.execute("INSERT INTO users_categories (name, perm_config) VALUES ('Administrateurs', 9)")
    database.execute(
        "INSERT INTO users (id_category, numero, nom, email) VALUES (2, 1, 'Administratrice', 'admin@asso.example')"
    )
