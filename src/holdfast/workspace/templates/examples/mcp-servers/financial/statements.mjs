// Bank statements as entries: {date, amount, description, reference}; a reference tells each apart.

import { createHash } from 'node:crypto';
import { Decimal } from './decimal.mjs';

const NAMES = {
    date: ['date', 'booking date', 'transaction date', 'posted'],
    amount: ['amount', 'value', 'sum'],
    description: ['description', 'payee', 'memo', 'text', 'details', 'name']
};

export function parseStatement(text, format) {
    const body = text.replace(/^\uFEFF/, '');
    const kind = format ?? (/<OFX>/i.test(body) ? 'ofx' : 'csv');
    return kind === 'ofx' ? parseOfx(body) : parseCsv(body);
}

function parseCsv(text) {
    const separator = (text.split(/\r?\n/, 1)[0].match(/;/g) ?? []).length ? ';' : ',';
    const [header, ...rows] = csvRows(text, separator);
    if (!header) throw new Error('the statement is empty');
    const columns = Object.fromEntries(Object.entries(NAMES).map(([key, names]) => [key, header.findIndex(each => names.includes(each.trim().toLowerCase()))]));
    for (const key of ['date', 'amount']) {
        if (columns[key] < 0) throw new Error(`no column is called ${NAMES[key].join(' or ')}`);
    }
    const seen = new Map();
    return rows.filter(row => row.some(each => each.trim())).map((row, index) => {
        const entry = {
            date: isoDate(row[columns.date], `row ${index + 2}`),
            amount: amountOf(row[columns.amount], `row ${index + 2}`),
            description: columns.description < 0 ? '' : (row[columns.description] ?? '').trim()
        };
        // Two equal rows are two payments: the second one's reference says that it is the second.
        const facts = `${entry.date}\n${entry.amount}\n${entry.description}`;
        const count = (seen.get(facts) ?? 0) + 1;
        seen.set(facts, count);
        const reference = createHash('sha256').update(`${facts}\n${count}`).digest('hex').slice(0, 24);
        return { ...entry, reference };
    });
}

function* csvRows(text, separator) {
    let row = [];
    let field = '';
    let quoted = false;
    for (let index = 0; index < text.length; index++) {
        const character = text[index];
        if (quoted) {
            if (character !== '"') field += character;
            else if (text[index + 1] === '"') field += text[++index];
            else quoted = false;
        } else if (character === '"' && field === '') quoted = true;
        else if (character === separator) {
            row.push(field);
            field = '';
        } else if (character === '\n') {
            row.push(field.replace(/\r$/, ''));
            yield row;
            [row, field] = [[], ''];
        } else field += character;
    }
    if (quoted) throw new Error('a quoted field has no end');
    if (field || row.length) yield [...row, field];
}

function parseOfx(text) {
    const blocks = text.match(/<STMTTRN>[\s\S]*?(?=<\/STMTTRN>|<STMTTRN>|<\/BANKTRANLIST>)/gi) ?? [];
    if (!blocks.length && !/<BANKTRANLIST>/i.test(text)) throw new Error('the statement has no transactions list');
    return blocks.map((block, index) => {
        const value = name => new RegExp(`<${name}>([^<\\r\\n]*)`, 'i').exec(block)?.[1].trim() ?? '';
        const reference = value('FITID');
        if (!reference) throw new Error(`transaction ${index + 1} has no FITID`);
        const description = [value('NAME'), value('MEMO')].filter(Boolean).join(' ');
        return {
            date: isoDate(value('DTPOSTED').slice(0, 8), `transaction ${index + 1}`),
            amount: amountOf(value('TRNAMT'), `transaction ${index + 1}`),
            description: description.replace(/&amp;/g, '&').replace(/&lt;/g, '<').replace(/&gt;/g, '>'),
            reference
        };
    });
}

export function isoDate(text, where) {
    const match = /^(\d{4})-?(\d{2})-?(\d{2})$/.exec((text ?? '').trim()) ?? german(text);
    const date = match && `${match[1]}-${match[2]}-${match[3]}`;
    if (!date || Number.isNaN(Date.parse(date)) || new Date(date).toISOString().slice(0, 10) !== date) {
        throw new Error(`${where}: ${JSON.stringify(text)} is no date such as 2026-11-25`);
    }
    return date;
}

function german(text) {
    const match = /^(\d{2})\.(\d{2})\.(\d{4})$/.exec((text ?? '').trim());
    return match && [match[0], match[3], match[2], match[1]];
}

function amountOf(text, where) {
    let plain = (text ?? '').trim().replace(/[\s'\u00A0]/g, '');
    // The last of point and comma is the decimal one; the other groups thousands.
    const comma = plain.lastIndexOf(',');
    if (comma > plain.lastIndexOf('.')) plain = plain.replaceAll('.', '').replace(',', '.');
    else plain = plain.replaceAll(',', '');
    try {
        return Decimal.parse(plain);
    } catch (error) {
        throw new Error(`${where}: ${error.message}`);
    }
}
