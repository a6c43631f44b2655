// Loans and cash flows, in decimals: every payment is rounded once, to the cent, half to even.

import { Decimal } from './decimal.mjs';

const PRECISE = 40; // places of what lies between
const CENT = 2;
const ONE = Decimal.of(1);
const LONGEST = 1200; // months

// The schedule of a loan that is paid back in equal monthly payments; the last one settles it.
export function loanSchedule(principal, yearlyPercent, months) {
    const amount = Decimal.parse(principal).rounded(CENT);
    const rate = Decimal.parse(yearlyPercent).over(Decimal.of(1200), PRECISE);
    if (amount.compare(Decimal.of(0)) <= 0) throw new Error('the principal must be more than 0');
    if (rate.isNegative) throw new Error('the rate must not be negative');
    if (!Number.isInteger(months) || months < 1 || months > LONGEST) {
        throw new Error(`the months must be a whole number from 1 to ${LONGEST}`);
    }
    const payment = monthlyPayment(amount, rate, months);
    const rows = [];
    let balance = amount;
    let interestPaid = Decimal.of(0);
    for (let month = 1; month <= months; month++) {
        const interest = balance.times(rate).rounded(CENT);
        const due = balance.plus(interest);
        const paid = month === months || payment.compare(due) > 0 ? due : payment;
        balance = due.minus(paid);
        interestPaid = interestPaid.plus(interest);
        rows.push({ month, payment: `${paid}`, interest: `${interest}`, principal: `${paid.minus(interest)}`, balance: `${balance}` });
    }
    return { payment: `${payment}`, interest: `${interestPaid.rounded(CENT)}`, total: `${amount.plus(interestPaid).rounded(CENT)}`, rows };
}

function monthlyPayment(amount, rate, months) {
    if (rate.digits === 0n) return amount.over(Decimal.of(months), CENT);
    const growth = power(ONE.plus(rate), months);
    return amount.times(rate).times(growth).over(growth.minus(ONE), CENT);
}

function power(base, exponent) {
    let result = ONE;
    let square = base;
    for (let rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
        if (rest % 2) result = result.times(square).rounded(PRECISE);
        square = square.times(square).rounded(PRECISE);
    }
    return result;
}

// What yearly flows are worth today; the first one is today's.
export function netPresentValue(yearlyPercent, flows) {
    const factor = ONE.plus(Decimal.parse(yearlyPercent).over(Decimal.of(100), PRECISE));
    if (factor.compare(Decimal.of(0)) <= 0) throw new Error('the rate must be more than -100');
    let value = Decimal.of(0);
    let discount = ONE;
    for (const flow of flows) {
        value = value.plus(Decimal.parse(flow).over(discount, PRECISE));
        discount = discount.times(factor).rounded(PRECISE);
    }
    return `${value.rounded(CENT)}`;
}

// Income, expenses and their sum for each month of the entries ({date, amount}).
export function cashFlow(entries) {
    const months = new Map();
    for (const { date, amount } of entries) {
        const month = date.slice(0, 7);
        const sums = months.get(month) ?? { income: Decimal.of(0), expenses: Decimal.of(0) };
        const key = amount.isNegative ? 'expenses' : 'income';
        sums[key] = sums[key].plus(amount);
        months.set(month, sums);
    }
    return [...months].sort(([first], [second]) => (first < second ? -1 : 1)).map(([month, { income, expenses }]) => ({
        month,
        income: `${income.rounded(CENT)}`,
        expenses: `${expenses.rounded(CENT)}`,
        net: `${income.plus(expenses).rounded(CENT)}`
    }));
}
