/* test_hub_names.c: which names become paths, URLs and redirects: what a hub or a person may say, and what
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "berth/berth.h"
#include "hub/id.h"
#include "hub/url.h"

static void id_parse_splits_and_defaults_to_main(void **state)
{
    (void)state;
    struct berth_hub_id id;
    assert_int_equal(berth_hub_id_parse("org/a-b.c_1", &id, NULL), BERTH_OK);
    assert_string_equal(id.repo, "org/a-b.c_1");
    assert_string_equal(id.folder, "models--org--a-b.c_1");
    assert_string_equal(id.revision, "main");
    assert_int_equal(berth_hub_id_parse("org/name@refs/pr/12", &id, NULL), BERTH_OK);
    assert_string_equal(id.repo, "org/name");
    assert_string_equal(id.revision, "refs/pr/12");
}

static void id_parse_refuses_what_may_lead_elsewhere(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",       "a",       "a/",         "/a",         "a/b/c",     "../b",     "a/..",
        ".a/b",   "a/.b",    "a/b.",       "-a/b",       "a/b-",      "a--b/c",   "a/b..c",
        "a/b@",   "a/b@..",  "a/b@../x",   "a/b@x/../y", "a/b@/x",    "a/b@x/",   "a/b@x//y",
        "a/b@-f", "a/b@x y", "a/b@x\ny",   "a/b@x@{1}",  "a/b@x~1",   "a/b@x%2e", "a\\b/c",
        "a b/c",  "a/b\n",   "random:a/b", "a/b:c",      "a/\xc3\xa9"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct berth_hub_id id;
        struct berth_error err;
        if (berth_hub_id_parse(bad[i], &id, &err) != BERTH_INVALID_ARGUMENT || berth_hub_is_id(bad[i]))
            fail_msg("'%s' was taken", bad[i]);
        assert_non_null(strstr(err.message, "is no id of a hub"));
    }
    char longest[300];
    memset(longest, 'a', sizeof longest);
    memcpy(longest + 96, "/b", 3);
    assert_true(berth_hub_is_id(longest));
    memset(longest, 'a', 97);
    memcpy(longest + 97, "/b", 3);
    assert_false(berth_hub_is_id(longest));
}

static void is_safe_name_keeps_files_in_their_folder(void **state)
{
    (void)state;
    static const char *const good[] = {"config.json", "a/b/c",          "..a",     "a..", "...",
                                       "a b",         ".gitattributes", "\xc3\xa9"};
    static const char *const bad[] = {"",     "/",      "/etc/passwd", "..",    ".",    "../a",
                                      "a/..", "a/../b", "a//b",        "a/",    "./a",  "a/./b",
                                      "a\\b", "..\\a",  "a\nb",        "a\x7f", "a\x01"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!berth_hub_is_safe_name(good[i]))
            fail_msg("'%s' was refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (berth_hub_is_safe_name(bad[i]))
            fail_msg("'%s' was taken", bad[i]);
}

static void is_commit_is_a_plain_word(void **state)
{
    (void)state;
    assert_true(berth_hub_is_commit("c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"));
    assert_false(berth_hub_is_commit(""));
    assert_false(berth_hub_is_commit(".."));
    assert_false(berth_hub_is_commit("a/b"));
}

/* --- addresses
 * ----------------------------------------------------------------------------------------------- */

static void endpoint_is_a_bare_web_address(void **state)
{
    (void)state;
    static const char *const bad[] = {"",           "ftp://h",        "file:///x",
                                      "http://",    "http://me:pw@h", "http://h?x=1",
                                      "http://h#x", "http://h:99999", "nonsense://h"};
    char *endpoint;
    assert_int_equal(berth_hub_endpoint("https://h.example:8443/mirror//", &endpoint, NULL), BERTH_OK);
    assert_string_equal(endpoint, "https://h.example:8443/mirror");
    berth_memory_free(endpoint);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct berth_error err;
        if (berth_hub_endpoint(bad[i], &endpoint, &err) != BERTH_INVALID_ARGUMENT || endpoint)
            fail_msg("'%s' was taken", bad[i]);
        assert_null(strstr(err.message, "pw"));
    }
}

static void url_escapes_all_but_the_slashes_that_stay(void **state)
{
    (void)state;
    const char *parts[] = {"org/name", "resolve", "refs/pr/1", "a b?#%.json", NULL};
    char *url = berth_hub_url("http://h", parts, 1 | 8);
    assert_string_equal(url, "http://h/org/name/resolve/refs%2Fpr%2F1/a%20b%3F%23%25.json");
    berth_memory_free(url);
}

static void follow_goes_where_it_is_safe(void **state)
{
    (void)state;
    static const struct {
        const char *from, *location, *to; /* NULL: refused */
        bool same;
    } cases[] = {
        {"https://h/a/b?x", "/c", "https://h/c", true},
        {"https://h/a/b", "c", "https://h/a/c", true},
        {"https://h/a", "https://H:443/c", "https://H:443/c", true},
        {"https://h/a", "//other/c", "https://other/c", false},
        {"https://h/a", "https://h.evil/c", "https://h.evil/c", false},
        {"https://h/a", "https://h:444/c", "https://h:444/c", false},
        {"http://h/a", "https://h/c", "https://h/c", false},
        {"http://h:1/a", "http://h:2/c?sig=1", "http://h:2/c?sig=1", false},
        {"https://h/a", "http://h/c", NULL, false},
        {"https://h/a", "http://other/c", NULL, false},
        {"http://h/a", "file:///etc/passwd", NULL, false},
        {"http://h/a", "ftp://h/c", NULL, false},
        {"http://h/a", "gopher://h/c", NULL, false},
        {"http://h/a", "javascript:alert(1)", NULL, false},
        {"https://h/a", "https://h@evil/c", NULL, false},
        {"https://h/a", "https://me:pw@h/c", NULL, false},
        {"https://h/a", "", NULL, false},
        {"https://h/a", "https://", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *to;
        bool same;
        struct berth_error err;
        enum berth_status status = berth_hub_follow(cases[i].from, cases[i].location, &to, &same, &err);
        if ((status == BERTH_OK) != (cases[i].to != NULL) || (to != NULL) != (cases[i].to != NULL))
            fail_msg("%s -> %s: %s", cases[i].from, cases[i].location, status ? err.message : to);
        if (to && (strcmp(to, cases[i].to) != 0 || same != cases[i].same))
            fail_msg("%s -> %s: %s, %d", cases[i].from, cases[i].location, to, same);
        assert_true(to || !strstr(err.message, "pw"));
        berth_memory_free(to);
    }
}

static void host_leaves_out_what_may_be_secret(void **state)
{
    (void)state;
    char host[256];
    berth_hub_host("https://me:pw@h:8443/a?Signature=s", host, sizeof host);
    assert_string_equal(host, "h:8443");
    berth_hub_host("h", host, sizeof host);
    assert_string_equal(host, "h");
}

static void is_exposed_is_plain_http_to_another_machine(void **state)
{
    (void)state;
    assert_true(berth_hub_is_exposed("http://hub.example"));
    assert_false(berth_hub_is_exposed("https://hub.example"));
    assert_false(berth_hub_is_exposed("http://127.0.0.1:80"));
    assert_false(berth_hub_is_exposed("http://localhost"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_parse_splits_and_defaults_to_main),
        cmocka_unit_test(id_parse_refuses_what_may_lead_elsewhere),
        cmocka_unit_test(is_safe_name_keeps_files_in_their_folder),
        cmocka_unit_test(is_commit_is_a_plain_word),
        cmocka_unit_test(endpoint_is_a_bare_web_address),
        cmocka_unit_test(url_escapes_all_but_the_slashes_that_stay),
        cmocka_unit_test(follow_goes_where_it_is_safe),
        cmocka_unit_test(host_leaves_out_what_may_be_secret),
        cmocka_unit_test(is_exposed_is_plain_http_to_another_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
