// The ledger: accounts and their entries in one SQLite file; amounts are whole cents.

import { DatabaseSync } from 'node:sqlite';
import { Decimal } from './decimal.mjs';

const SCHEMA = `
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY,
    currency TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY,
    account TEXT NOT NULL REFERENCES accounts (name),
    date TEXT NOT NULL,
    cents INTEGER NOT NULL,
    description TEXT NOT NULL,
    reference TEXT,
    UNIQUE (account, reference)
) STRICT;
CREATE INDEX IF NOT EXISTS entries_by_date ON entries (account, date, id);
`;

export class Ledger {
    #database;

    constructor(path) {
        this.#database = new DatabaseSync(path, { timeout: 10_000 });
        this.#database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;');
        this.#database.exec(SCHEMA);
    }

    close() {
        this.#database.close();
    }

    openAccount(name, currency) {
        const known = this.#database.prepare('SELECT currency FROM accounts WHERE name = ?').get(name);
        if (known) throw new Error(`the account ${JSON.stringify(name)} is there already, in ${known.currency}`);
        this.#database.prepare('INSERT INTO accounts (name, currency) VALUES (?, ?)').run(name, currency);
    }

    accounts() {
        const rows = this.#database.prepare(
            'SELECT name, currency, count(id) AS entries, coalesce(sum(cents), 0) AS cents FROM accounts LEFT JOIN entries ON account = name GROUP BY name ORDER BY name'
        );
        rows.setReadBigInts(true);
        return rows.all().map(({ name, currency, entries, cents }) => ({ name, currency, entries: Number(entries), balance: text(cents) }));
    }

    // Adds all entries or none; those whose reference is known already are passed. Returns how many.
    add(account, entries) {
        this.#currencyOf(account);
        const insert = this.#database.prepare(
            'INSERT INTO entries (account, date, cents, description, reference) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING'
        );
        this.#database.exec('BEGIN IMMEDIATE');
        try {
            let added = 0;
            for (const { date, amount, description, reference } of entries) {
                added += Number(insert.run(account, date, cents(amount), description, reference ?? null).changes);
            }
            this.#database.exec('COMMIT');
            return added;
        } catch (error) {
            this.#database.exec('ROLLBACK');
            throw error;
        }
    }

    entries(account, from, to) {
        this.#currencyOf(account);
        const rows = this.#database.prepare(
            'SELECT id, date, cents, description FROM entries WHERE account = ? AND date BETWEEN ? AND ? ORDER BY date, id'
        );
        rows.setReadBigInts(true);
        return rows.all(account, from, to).map(({ id, date, cents, description }) => ({ id: Number(id), date, amount: new Decimal(cents, 2), description }));
    }

    balance(account, on) {
        const currency = this.#currencyOf(account);
        const row = this.#database.prepare('SELECT coalesce(sum(cents), 0) AS cents FROM entries WHERE account = ? AND date <= ?');
        row.setReadBigInts(true);
        return { account, on, balance: text(row.get(account, on).cents), currency };
    }

    #currencyOf(account) {
        const row = this.#database.prepare('SELECT currency FROM accounts WHERE name = ?').get(account);
        if (!row) throw new Error(`there is no account ${JSON.stringify(account)}; open it first`);
        return row.currency;
    }
}

function cents(amount) {
    const exact = amount.rounded(2);
    if (exact.compare(amount) !== 0) throw new Error(`${amount} has fractions of a cent`);
    if (exact.digits > 10n ** 17n || exact.digits < -(10n ** 17n)) throw new Error(`${amount} is too large`);
    return exact.digits;
}

function text(cents) {
    return `${new Decimal(BigInt(cents), 2)}`;
}
