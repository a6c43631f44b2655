// Run by `npm test` or scripts/test-runner.py; needs no package installed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cashFlow, loanSchedule, netPresentValue } from './arithmetic.mjs';
import { Decimal } from './decimal.mjs';

test('a loan is paid back to the cent', () => {
    const { payment, rows } = loanSchedule('200000', '3.75', 360);
    assert.equal(payment, '926.23');
    assert.equal(rows.length, 360);
    assert.equal(rows.at(-1).balance, '0.00');
});

test('a loan without interest is shared out, the rest in the last month', () => {
    const { rows } = loanSchedule('100', '0', 3);
    assert.deepEqual(rows.map(({ payment }) => payment), ['33.33', '33.33', '33.34']);
});

test('what makes no sense is refused', () => {
    assert.throws(() => loanSchedule('-1', '1', 3), /more than 0/);
    assert.throws(() => loanSchedule('1', '1', 0), /whole number/);
    assert.throws(() => netPresentValue('-100', ['1']), /more than -100/);
});

test('flows are discounted exactly', () => {
    assert.equal(netPresentValue('10', ['-1000', '500', '500', '500']), '243.43');
});

test('months are summed without a float between', () => {
    const entries = ['0.10', '0.20', '-0.30'].map((amount) => ({ date: '2026-11-01', amount: Decimal.parse(amount) }));
    assert.deepEqual(cashFlow(entries), [{ month: '2026-11', income: '0.30', expenses: '-0.30', net: '0.00' }]);
});
