/* test_vocab_memory.c: each allocation of training a vocabulary fails in turn: one sentence, nothing leaked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "berth/berth.h"
#include "support/fault.h"
#include "support/text_support.h"

static enum berth_status train(void *context, struct berth_error *err)
{
    const struct berth_vocab_options options = {.corpus = context, .size = 2000};
    struct berth_vocab_report report;
    char *vocab;
    size_t size;
    enum berth_status status = berth_vocab_train(&options, &vocab, &size, &report, err);
    if (status == BERTH_OK)
        assert_true(size > 0 && vocab[size - 1] == '\n');
    else
        assert_null(vocab);
    berth_memory_free(vocab);
    return status;
}

static void vocab_train_each_allocation_may_fail(void **state)
{
    (void)state;
    static char text[1 << 15], path[128];
    size_t used = 0;
    for (unsigned i = 0; used + 16 < sizeof text; i++) { /* enough words for every array to grow */
        unsigned n = i * 2654435761u;
        for (int k = 0; k < 8; k++, n >>= 3)
            text[used++] = (char)('a' + n % 8);
        text[used++] = i % 9 ? ' ' : '\n';
    }
    strcpy(path, text_file(text, used));
    fault_each(train, path, 30, 0);
    text_file_remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(vocab_train_each_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
