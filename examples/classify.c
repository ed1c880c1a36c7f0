#include <berth/berth.h>
#include <stdio.h>
int main(int argc, char **argv)
{
    struct berth_error err;
    struct berth_classifier *c;
    struct berth_text text = BERTH_TEXT("a gripping, funny film");
    struct berth_result result;
    if (berth_classifier_open(argc > 1 ? argv[1] : "random:bert-tiny", NULL, &c, &err) ||
        berth_classify(c, &text, 1, &result, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    printf("%s %.4f\n", result.label, result.score);
    berth_classifier_free(c);
}
