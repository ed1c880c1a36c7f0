#include "formats/hf_config.h"
#include "base/alloc.h"
#include "base/error.h"
void berth_config_clear(struct berth_config *c){ for(size_t i=0;c->label_names&&i<c->labels;i++)berth_free(c->label_names[i]); berth_free(c->label_names); *c=(struct berth_config){0};}
#include <jansson.h>
#include <string.h>
#include <stdio.h>
static size_t geti(json_t*j,const char*a,const char*b,size_t d){json_t*v=json_object_get(j,a); if(!v&&b)v=json_object_get(j,b); return v?(size_t)json_integer_value(v):d;}
enum berth_status berth_config_read(const char *d, struct berth_config *c, struct berth_error *err){
 char p[600]; snprintf(p,600,"%s/config.json",d); json_t*j=json_load_file(p,0,NULL); if(!j)return berth_fail(err,BERTH_IO,"%s stub",d);
 *c=(struct berth_config){0};
 const char*mt=json_string_value(json_object_get(j,"model_type"));
 c->family=!strcmp(mt,"bert")?BERTH_FAMILY_BERT:!strcmp(mt,"electra")?BERTH_FAMILY_ELECTRA:BERTH_FAMILY_DISTILBERT;
 const char *pe=json_string_value(json_object_get(j,"position_embedding_type")); if(pe&&strcmp(pe,"absolute"))return berth_fail(err,BERTH_UNSUPPORTED,"position_embedding_type %s",pe);
 const char*ar=json_string_value(json_array_get(json_object_get(j,"architectures"),0)); snprintf(c->architecture,64,"%s",ar?ar:"");
 c->vocab_size=geti(j,"vocab_size",0,0); c->hidden_size=geti(j,"hidden_size","dim",0); c->embedding_size=geti(j,"embedding_size",0,c->hidden_size);
 c->layers=geti(j,"num_hidden_layers","n_layers",0); c->heads=geti(j,"num_attention_heads","n_heads",0); c->intermediate_size=geti(j,"intermediate_size","hidden_dim",0);
 c->max_positions=geti(j,"max_position_embeddings",0,0); c->type_vocab_size=c->family==BERTH_FAMILY_DISTILBERT?0:geti(j,"type_vocab_size",0,2);
 const char*a=json_string_value(json_object_get(j,"hidden_act")); if(!a)a=json_string_value(json_object_get(j,"activation")); if(!a)a="gelu";
 c->activation=!strcmp(a,"gelu")?BERTH_ACT_GELU_ERF:!strcmp(a,"relu")?BERTH_ACT_RELU:!strcmp(a,"silu")?BERTH_ACT_SILU:BERTH_ACT_GELU_TANH;
 json_t*e=json_object_get(j,"layer_norm_eps"); c->layer_norm_eps=e?json_number_value(e):1e-12; c->initializer_range=0.02;
 json_t*l=json_object_get(j,"id2label"); c->labels=l?json_object_size(l):geti(j,"num_labels",0,2); c->label_names=berth_calloc(c->labels,sizeof(char*)); json_decref(j); return BERTH_OK;}
const char *berth_family_name(enum berth_family f){(void)f;return "bert";}
