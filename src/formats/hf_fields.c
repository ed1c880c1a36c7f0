/* hf_fields.c: the tables of config.json. Names and defaults are those of transformers 4.30:
 * configuration_bert.py, configuration_distilbert.py, configuration_electra.py and configuration_utils.py.
 * Adding a field is a line here. */
#include "formats/hf_fields.h"

#define FIELD(member) offsetof(struct berth_config, member)

/* Bounds of sanity, far above any published encoder: they keep every product of sizes within 64 bits. */
enum {
    MAX_VOCABULARY = 1 << 24,
    MAX_WIDTH = 1 << 16,
    MAX_INNER = 1 << 20,
    MAX_LAYERS = 1024,
    MAX_POSITIONS = 1 << 20
};

static const double SMALLEST_EPSILON = 1e-37; /* what a float32 still holds */

static const struct berth_size_field bert_sizes[] = {
    {"vocab_size", NULL, FIELD(vocab_size), 30522, MAX_VOCABULARY},
    {"hidden_size", NULL, FIELD(hidden_size), 768, MAX_WIDTH},
    {"num_hidden_layers", NULL, FIELD(layers), 12, MAX_LAYERS},
    {"num_attention_heads", NULL, FIELD(heads), 12, MAX_WIDTH},
    {"intermediate_size", NULL, FIELD(intermediate_size), 3072, MAX_INNER},
    {"max_position_embeddings", NULL, FIELD(max_positions), 512, MAX_POSITIONS},
    {"type_vocab_size", NULL, FIELD(type_vocab_size), 2, MAX_WIDTH},
    {0},
};

static const struct berth_size_field electra_sizes[] = {
    {"vocab_size", NULL, FIELD(vocab_size), 30522, MAX_VOCABULARY},
    {"embedding_size", NULL, FIELD(embedding_size), 128, MAX_WIDTH},
    {"hidden_size", NULL, FIELD(hidden_size), 256, MAX_WIDTH},
    {"num_hidden_layers", NULL, FIELD(layers), 12, MAX_LAYERS},
    {"num_attention_heads", NULL, FIELD(heads), 4, MAX_WIDTH},
    {"intermediate_size", NULL, FIELD(intermediate_size), 1024, MAX_INNER},
    {"max_position_embeddings", NULL, FIELD(max_positions), 512, MAX_POSITIONS},
    {"type_vocab_size", NULL, FIELD(type_vocab_size), 2, MAX_WIDTH},
    {0},
};

static const struct berth_size_field distilbert_sizes[] = {
    {"vocab_size", NULL, FIELD(vocab_size), 30522, MAX_VOCABULARY},
    {"dim", "hidden_size", FIELD(hidden_size), 768, MAX_WIDTH},
    {"n_layers", "num_hidden_layers", FIELD(layers), 6, MAX_LAYERS},
    {"n_heads", "num_attention_heads", FIELD(heads), 12, MAX_WIDTH},
    {"hidden_dim", NULL, FIELD(intermediate_size), 3072, MAX_INNER},
    {"max_position_embeddings", NULL, FIELD(max_positions), 512, MAX_POSITIONS},
    {0},
};

static const struct berth_number_field bert_numbers[] = {
    {"layer_norm_eps", FIELD(layer_norm_eps), 1e-12, SMALLEST_EPSILON, 1, false},
    {"hidden_dropout_prob", FIELD(hidden_dropout), 0.1, 0, 1, true},
    {"attention_probs_dropout_prob", FIELD(attention_dropout), 0.1, 0, 1, true},
    {"initializer_range", FIELD(initializer_range), 0.02, 0, 100, false},
    {0},
};

static const struct berth_number_field distilbert_numbers[] = {
    {"dropout", FIELD(hidden_dropout), 0.1, 0, 1, true},
    {"attention_dropout", FIELD(attention_dropout), 0.1, 0, 1, true},
    {"seq_classif_dropout", FIELD(classifier_dropout), 0.2, 0, 1, true},
    {"initializer_range", FIELD(initializer_range), 0.02, 0, 100, false},
    {0},
};

/* Written by the first multilingual checkpoints; no released code reads them. */
static const char *const bert_skipped[] = {
    "directionality",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    NULL,
};

/* ELECTRA's classification head is fixed in code; the summary is another head's. */
static const char *const electra_skipped[] = {
    "summary_type",
    "summary_use_proj",
    "summary_activation",
    "summary_last_dropout",
    "summary_first_dropout",
    "summary_proj_to_labels",
    NULL,
};

/* The position table is in the file, however it was filled. */
static const char *const distilbert_skipped[] = {"qa_dropout", "sinusoidal_pos_embds", "tie_weights_", NULL};

const struct berth_family_fields berth_families[] = {
    [BERTH_FAMILY_BERT] = {BERTH_FAMILY_BERT, "bert", "Bert", "BertModel", bert_sizes, bert_numbers,
                           "hidden_act", "classifier_dropout", bert_skipped},
    [BERTH_FAMILY_DISTILBERT] = {BERTH_FAMILY_DISTILBERT, "distilbert", "DistilBert", "DistilBertModel",
                                 distilbert_sizes, distilbert_numbers, "activation", NULL,
                                 distilbert_skipped},
    [BERTH_FAMILY_ELECTRA] = {BERTH_FAMILY_ELECTRA, "electra", "Electra", "ElectraModel", electra_sizes,
                              bert_numbers, "hidden_act", "classifier_dropout", electra_skipped},
};

/* Where a file came from and how it was saved; training and generation switches; ids that the tokenizer's own
 * files tell; the element type of the file, which the file tells too; splitting work into chunks, which gives
 * the same sums. */
const char *const berth_skipped_fields[] = {
    "_attn_implementation",
    "_attn_implementation_autoset",
    "_commit_hash",
    "_name_or_path",
    "attn_implementation",
    "bad_words_ids",
    "begin_suppress_tokens",
    "bos_token_id",
    "chunk_size_feed_forward",
    "cls_token_id",
    "cross_attention_hidden_size", /* of cross-attention, which is refused */
    "decoder_start_token_id",
    "diversity_penalty",
    "do_sample",
    "dtype",
    "early_stopping",
    "encoder_no_repeat_ngram_size",
    "eos_token_id",
    "exponential_decay_length_penalty",
    "finetuning_task",
    "forced_bos_token_id",
    "forced_eos_token_id",
    "gradient_checkpointing",
    "length_penalty",
    "mask_token_id",
    "max_length",
    "min_length",
    "name_or_path",
    "no_repeat_ngram_size",
    "num_beam_groups",
    "num_beams",
    "num_return_sequences",
    "output_attentions",
    "output_hidden_states",
    "output_past",
    "output_scores",
    "prefix",
    "remove_invalid_values",
    "repetition_penalty",
    "return_dict",
    "return_dict_in_generate",
    "sep_token_id",
    "suppress_tokens",
    "task_specific_params",
    "temperature",
    "tf_legacy_loss",
    "tie_encoder_decoder",
    "tie_word_embeddings",
    "tokenizer_class",
    "top_k",
    "top_p",
    "torch_dtype",
    "torchscript",
    "transformers_version",
    "typical_p",
    "unk_token_id",
    "use_bfloat16",
    "use_cache",
    "use_return_dict",
    "xla_device",
    NULL,
};
