// An MCP server with a local ledger: accounts, statement import (CSV, OFX), loans and cash flows.
//
//     npm install && node server.mjs      speaks MCP on standard input and output
//
// All of it is on this machine: the ledger is ledger.db beside this file (or $FINANCIAL_LEDGER).

import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join, relative, resolve, isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { McpServer } from '@modelcontextprotocol/server';
import { serveStdio } from '@modelcontextprotocol/server/stdio';
import { z } from 'zod';
import { cashFlow, loanSchedule, netPresentValue } from './arithmetic.mjs';
import { Decimal } from './decimal.mjs';
import { Ledger } from './ledger.mjs';
import { isoDate, parseStatement } from './statements.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = realpathSync(process.env.HOLDFAST_WORKSPACE || resolve(here, '..', '..'));
const place = process.env.FINANCIAL_LEDGER || join(here, 'ledger.db');

let opened;
const ledger = () => (opened ??= new Ledger(place)); // only once a tool needs it

const account = z.string().min(1).max(100).describe('The name of an account');
const amount = z.string().describe('An exact decimal such as -12.50');
const date = z.string().describe('A date such as 2026-11-25');
const range = { from: date.optional(), to: date.optional() };

// A statement of the workspace; links that lead out of it are refused.
function readStatement(path) {
    const real = realpathSync(resolve(root, path));
    const inside = relative(root, real);
    if (inside.startsWith('..') || isAbsolute(inside)) throw new Error(`${path} lies outside of the workspace`);
    return readFileSync(real, 'utf8');
}

function between({ from, to }) {
    return [from ? isoDate(from, 'from') : '0000-01-01', to ? isoDate(to, 'to') : '9999-12-31'];
}

const tools = {
    open_account: ['Open an account.', { account, currency: z.string().regex(/^[A-Z]{3}$/) }, input => {
        ledger().openAccount(input.account, input.currency);
        return { account: input.account, currency: input.currency };
    }],
    list_accounts: ['All accounts, their entries and balances.', {}, () => ledger().accounts()],
    add_entry: ['Enter one income (positive) or expense (negative).', { account, date, amount, description: z.string().default('') }, input => {
        const entry = { date: isoDate(input.date, 'date'), amount: Decimal.parse(input.amount), description: input.description };
        return { added: ledger().add(input.account, [entry]) };
    }],
    import_statement: [
        'Enter a bank statement (CSV or OFX) of the workspace; what was imported before is passed.',
        { account, path: z.string(), format: z.enum(['csv', 'ofx']).optional() },
        input => {
            const entries = parseStatement(readStatement(input.path), input.format);
            const added = ledger().add(input.account, entries);
            return { found: entries.length, added, known: entries.length - added };
        }
    ],
    list_entries: ['The entries of an account, by date.', { account, ...range }, input =>
        ledger().entries(input.account, ...between(input)).map(entry => ({ ...entry, amount: `${entry.amount}` }))],
    balance: ['The balance of an account at the end of a day.', { account, on: date.optional() }, input =>
        ledger().balance(input.account, between({ to: input.on })[1])],
    cash_flow: ['Income, expenses and net of each month.', { account, ...range }, input =>
        cashFlow(ledger().entries(input.account, ...between(input)))],
    loan_schedule: [
        'The schedule of a loan with equal monthly payments.',
        { principal: amount, yearly_percent: z.string().describe('Such as 3.75'), months: z.number().int() },
        input => loanSchedule(input.principal, input.yearly_percent, input.months)
    ],
    net_present_value: [
        'What yearly flows are worth today; the first one is today\'s.',
        { yearly_percent: z.string(), flows: z.array(amount).min(1).max(1000) },
        input => netPresentValue(input.yearly_percent, input.flows)
    ]
};

function build() {
    const server = new McpServer({ name: 'financial', version: '1.0.0' });
    for (const [name, [description, shape, work]] of Object.entries(tools)) {
        server.registerTool(name, { description, inputSchema: z.object(shape) }, async input => {
            try {
                return { content: [{ type: 'text', text: JSON.stringify(work(input ?? {})) }] };
            } catch (error) {
                return { content: [{ type: 'text', text: error.message }], isError: true };
            }
        });
    }
    return server;
}

serveStdio(build);
process.stdin.on('end', () => opened?.close());
