/* test_hub_answers.c: what is made of a hub's headers, descriptions, indices and checksums. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "berth/berth.h"
#include "hub/digest.h"
#include "hub/listing.h"
#include "hub/reply.h"

static struct berth_hub_reply reply;

static void feed(const char *line)
{
    char *exact = malloc(strlen(line)); /* no byte behind it */
    memcpy(exact, line, strlen(line));
    berth_hub_reply_line(&reply, exact, strlen(line));
    free(exact);
}

static void reply_reads_what_the_hub_says(void **state)
{
    (void)state;
    feed("HTTP/1.1 302 Found\r\n");
    feed("etag: W/\"short\"\r\n");
    feed("X-Linked-ETag: \"0123456789abcdef\"\r\n");
    feed("x-linked-size: 438000000\r\n");
    feed("X-Repo-Commit: c0ffee\r\n");
    feed("X-Error-Code:RepoNotFound\r\n");
    feed("Location: https://h/x?y\r\n");
    feed("Content-Length: 12\r\n");
    feed("Content-Range: bytes 5-11/12\r\n");
    assert_int_equal(reply.status, 302);
    assert_true(berth_hub_reply_redirects(&reply));
    assert_string_equal(reply.etag, "short");
    assert_true(reply.weak);
    assert_string_equal(reply.linked_etag, "0123456789abcdef");
    assert_true(reply.has_linked_size && reply.linked_size == 438000000);
    assert_string_equal(reply.commit, "c0ffee");
    assert_string_equal(reply.error_code, "RepoNotFound");
    assert_string_equal(reply.location, "https://h/x?y");
    assert_true(reply.has_length && reply.length == 12);
    assert_true(reply.has_range && reply.range_first == 5 && reply.range_total == 12);
    feed("HTTP/2 200\r\n"); /* begins anew */
    assert_int_equal(reply.status, 200);
    assert_string_equal(reply.location, "");
    assert_false(reply.has_length);
}

static void reply_drops_what_is_not_fit(void **state)
{
    (void)state;
    static const char *const tags[] = {"ETag: \"../../x\"", "ETag: \"a/b\"", "ETag: \"\"",
                                       "ETag: .hidden",     "ETag: \"a b\"", "ETag: \"a\x01z\""};
    static const char *const ranges[] = {"bytes",       "bytes ",      "bytes 5",
                                         "bytes 5-",    "bytes 5-4/9", "bytes 5-6",
                                         "bytes a-6/9", "bytes 5-6/",  "bytes 99999999999999999999-6/9",
                                         "items 5-6/9", "bytes */9"};
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++) {
        feed("HTTP/1.1 200 OK");
        feed(tags[i]);
        assert_string_equal(reply.etag, "");
    }
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        char line[128] = "Content-Range: ";
        feed("HTTP/1.1 206 Partial");
        feed(strcat(line, ranges[i]));
        if (reply.has_range)
            fail_msg("'%s' was taken", ranges[i]);
    }
    feed("HTTP/1.1 206 Partial");
    feed("Content-Range: bytes 5-6/*");
    assert_true(reply.has_range && reply.range_total == UINT64_MAX);
    feed("Content-Length: 18446744073709551616");
    assert_false(reply.has_length);
    feed("Content-Length: -1");
    assert_false(reply.has_length);
    feed("X-Repo-Commit: ../x");
    assert_string_equal(reply.commit, "");
    char *line = malloc(BERTH_HUB_URL_MAX + 100);
    strcpy(line, "Location: http://");
    memset(line + strlen(line), 'a', BERTH_HUB_URL_MAX);
    berth_hub_reply_line(&reply, line, BERTH_HUB_URL_MAX + 17);
    free(line);
    assert_string_equal(reply.location, "");
    feed("");
    feed("HTTP/");
    feed("nonsense");
    feed(":");
}

static void digest_is_that_of_the_standards_and_of_git(void **state)
{
    (void)state;
    struct berth_digest digest;
    struct berth_digest_text text;
    berth_digest_begin(&digest, true, true, 3);
    berth_digest_add(&digest, "ab", 2);
    berth_digest_add(&digest, "c", 1);
    berth_digest_end(&digest, &text);
    assert_string_equal(text.sha256,
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"); /* FIPS 180 */
    assert_string_equal(text.sha1, "a9993e364706816aba3e25717850c26c9cd0d89d");
    assert_string_equal(
        text.git, "f2ba8f84ab5c1bce84a7b441cb1959cfc7093b7f"); /* printf abc | git hash-object --stdin */
    berth_digest_begin(&digest, false, false, 0);
    berth_digest_end(&digest, &text);
    assert_string_equal(text.sha256, "");
}

/* --- JSON
 * ---------------------------------------------------------------------------------------------------- */

static enum berth_status parse(const char *json, struct berth_hub_listing *listing, struct berth_error *err)
{
    return berth_hub_listing_parse("org/name", json, strlen(json), listing, err);
}

static void listing_has_commit_files_and_checksums(void **state)
{
    (void)state;
    struct berth_hub_listing listing;
    static const char sum[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    static const char json[] =
        "{\"sha\": \"c0ffee\", \"siblings\": [{\"rfilename\": \"config.json\"}, {\"rfilename\": \"a/b\", "
        "\"lfs\": "
        "{\"sha256\": \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}}], \"likes\": 7}";
    assert_int_equal(parse(json, &listing, NULL), BERTH_OK);
    assert_string_equal(listing.commit, "c0ffee");
    assert_true(listing.has_files);
    assert_int_equal(listing.count, 2);
    assert_string_equal(berth_hub_listing_find(&listing, "a/b")->sha256, sum);
    assert_string_equal(berth_hub_listing_find(&listing, "config.json")->sha256, "");
    assert_null(berth_hub_listing_find(&listing, "other"));
    berth_hub_listing_clear(&listing);
    assert_int_equal(parse("{}", &listing, NULL), BERTH_OK);
    assert_false(listing.has_files);
    berth_hub_listing_clear(&listing);
}

static void listing_refuses_what_is_hostile(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "[]",
        "7",
        "{",
        "{\"sha\": \"../x\"}",
        "{\"siblings\": [{}]}",
        "{\"siblings\": [7]}",
        "{\"siblings\": [{\"rfilename\": \"../x\"}]}",
        "{\"siblings\": [{\"rfilename\": \"/x\"}]}",
        "{\"siblings\": [{\"rfilename\": \"ok\"}, {\"rfilename\": \"a\\u0000b\"}]}",
        "{\"siblings\": [{\"rfilename\": \"ok\"}, {\"rfilename\": \"\"}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct berth_hub_listing listing;
        struct berth_error err = {0};
        if (parse(bad[i], &listing, &err) == BERTH_OK)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(strlen(err.message) > 0 && !listing.files);
    }
}

static void shards_are_named_once_and_beside_the_index(void **state)
{
    (void)state;
    static const char good[] = "{\"weight_map\": {\"a\": \"2.bin\", \"b\": \"1.bin\", \"c\": \"2.bin\"}}";
    static const char *const bad[] = {"{}",
                                      "{\"weight_map\": {}}",
                                      "{\"weight_map\": {\"a\": 7}}",
                                      "{\"weight_map\": {\"a\": \"../x\"}}",
                                      "{\"weight_map\": {\"a\": \"b/c\"}}",
                                      "{\"weight_map\": {\"a\": \"ok\", \"b\": \"/x\"}}"};
    char **names;
    size_t count;
    assert_int_equal(berth_hub_shards_parse("index", good, strlen(good), &names, &count, NULL), BERTH_OK);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        berth_memory_free(names[i]);
    berth_memory_free(names);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct berth_error err = {0};
        if (berth_hub_shards_parse("index", bad[i], strlen(bad[i]), &names, &count, &err) == BERTH_OK)
            fail_msg("'%s' was taken", bad[i]);
        assert_true(!names && count == 0 && strlen(err.message) > 0);
    }
}

static void published_has_one_of_each_architecture(void **state)
{
    (void)state;
    size_t count;
    const struct berth_published_model *models = berth_hub_published(&count);
    assert_int_equal(count, 4);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(models[i].name, models[k].name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_reads_what_the_hub_says),
        cmocka_unit_test(reply_drops_what_is_not_fit),
        cmocka_unit_test(digest_is_that_of_the_standards_and_of_git),
        cmocka_unit_test(listing_has_commit_files_and_checksums),
        cmocka_unit_test(listing_refuses_what_is_hostile),
        cmocka_unit_test(shards_are_named_once_and_beside_the_index),
        cmocka_unit_test(published_has_one_of_each_architecture),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
