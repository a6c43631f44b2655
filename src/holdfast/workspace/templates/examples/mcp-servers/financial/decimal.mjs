// Exact decimals: a BigInt and how many of its digits stand behind the point.

const TEXT = /^([+-]?)(\d+)(?:\.(\d+))?$/;

export class Decimal {
    constructor(digits, scale) {
        this.digits = digits;
        this.scale = scale;
    }

    static parse(text) {
        const match = TEXT.exec(String(text).trim());
        if (!match) throw new Error(`${JSON.stringify(text)} is no decimal number such as -12.50`);
        const [, sign, whole, fraction = ''] = match;
        const digits = BigInt(whole + fraction);
        return new Decimal(sign === '-' ? -digits : digits, fraction.length);
    }

    static of(integer) {
        return new Decimal(BigInt(integer), 0);
    }

    plus(other) {
        const scale = Math.max(this.scale, other.scale);
        return new Decimal(this.#at(scale) + other.#at(scale), scale);
    }

    minus(other) {
        return this.plus(new Decimal(-other.digits, other.scale));
    }

    times(other) {
        return new Decimal(this.digits * other.digits, this.scale + other.scale);
    }

    // The quotient, rounded to `scale` places, half to even.
    over(other, scale) {
        if (other.digits === 0n) throw new Error('division by zero');
        const shift = scale + other.scale - this.scale;
        const [up, down] = shift >= 0 ? [10n ** BigInt(shift), 1n] : [1n, 10n ** BigInt(-shift)];
        return new Decimal(divideHalfEven(this.digits * up, other.digits * down), scale);
    }

    rounded(scale) {
        return this.scale <= scale ? new Decimal(this.#at(scale), scale) : this.over(Decimal.of(1), scale);
    }

    compare(other) {
        const scale = Math.max(this.scale, other.scale);
        const [mine, theirs] = [this.#at(scale), other.#at(scale)];
        return mine < theirs ? -1 : mine > theirs ? 1 : 0;
    }

    get isNegative() {
        return this.digits < 0n;
    }

    toString() {
        const text = (this.digits < 0n ? -this.digits : this.digits).toString().padStart(this.scale + 1, '0');
        const point = text.length - this.scale;
        const sign = this.digits < 0n ? '-' : '';
        return sign + text.slice(0, point) + (this.scale ? '.' + text.slice(point) : '');
    }

    #at(scale) {
        return this.digits * 10n ** BigInt(scale - this.scale);
    }
}

function divideHalfEven(dividend, divisor) {
    if (divisor < 0n) [dividend, divisor] = [-dividend, -divisor];
    let quotient = dividend / divisor;
    let rest = dividend % divisor;
    if (rest < 0n) {
        rest += divisor;
        quotient -= 1n;
    }
    const twice = rest * 2n;
    return twice > divisor || (twice === divisor && quotient % 2n !== 0n) ? quotient + 1n : quotient;
}
