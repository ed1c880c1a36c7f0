/* float_text.c: scales to an integer of nine digits in double, and leaves to printf what lies so near the middle
 * between two such integers that a rounding of the scaling could decide. */
#include "base/float_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS = 9, LARGEST_POWER = 54 };

static const double powers[LARGEST_POWER + 1] = {
    1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37,
    1e38, 1e39, 1e40, 1e41, 1e42, 1e43, 1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54};

static double scale(double value, int power)
{
    return power >= 0 ? value * powers[power] : value / powers[-power];
}

static size_t print(float value, char *text)
{
    int size = snprintf(text, BERTH_FLOAT_TEXT, "%.9g", (double)value);
    char *comma = memchr(text, ',', (size_t)size); /* some locales' point */
    if (comma)
        *comma = '.';
    return (size_t)size;
}

/* The decimal digits of a number of nine, the last first cut off at the end: trailing zeros do not count. */
static int write_digits(uint32_t number, char digits[DIGITS])
{
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        digits[i] = (char)('0' + number % 10);
    int count = DIGITS;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

static char *append(char *at, const char *bytes, int count)
{
    memcpy(at, bytes, (size_t)count);
    return at + count;
}

/* "d.dddde-05" */
static char *write_scientific(char *at, const char *digits, int count, int exponent)
{
    *at++ = digits[0];
    if (count > 1) {
        *at++ = '.';
        at = append(at, digits + 1, count - 1);
    }
    *at++ = 'e';
    *at++ = exponent < 0 ? '-' : '+';
    exponent = exponent < 0 ? -exponent : exponent;
    *at++ = (char)('0' + exponent / 10);
    *at++ = (char)('0' + exponent % 10);
    return at;
}

static char *write_fixed(char *at, const char *digits, int count, int exponent)
{
    static const char zeros[] = "000000000";
    if (exponent < 0) {
        at = append(at, "0.", 2);
        at = append(at, zeros, -exponent - 1);
        return append(at, digits, count);
    }
    int whole = exponent + 1;
    if (count <= whole) {
        at = append(at, digits, count);
        return append(at, zeros, whole - count);
    }
    at = append(at, digits, whole);
    *at++ = '.';
    return append(at, digits + whole, count - whole);
}

size_t berth_float_text(float value, char text[BERTH_FLOAT_TEXT])
{
    char *at = text;
    if (signbit(value))
        *at++ = '-';
    double size = fabs((double)value);
    if (size == 0) {
        *at++ = '0';
        *at = 0;
        return (size_t)(at - text);
    }
    int binary;
    frexp(size, &binary);
    int exponent = (int)floor((binary - 1) * 0.30102999566398120); /* of ten: right, or one too small */
    if (size >= scale(1, exponent + 1))
        exponent++;
    double scaled = scale(size, DIGITS - 1 - exponent), whole = floor(scaled), rest = scaled - whole;
    if (fabs(rest - 0.5) < 1e-5)
        return print(value, text);
    uint32_t number = (uint32_t)whole + (rest > 0.5);
    if (number < 100000000u)
        return print(value, text);
    if (number == 1000000000u) {
        number = 100000000u;
        exponent++;
    }
    char digits[DIGITS];
    int count = write_digits(number, digits);
    bool fixed = exponent >= -4 && exponent < DIGITS;
    at = fixed ? write_fixed(at, digits, count, exponent) : write_scientific(at, digits, count, exponent);
    *at = 0;
    return (size_t)(at - text);
}
