/* svc/cycle/cycle_model.c - engines, and the nowcasters that run them. */
#include <string.h>
#include <sys/stat.h>

#include "svc/cycle/cycle_private.h"

/* A nowcaster that nobody uses, and the size of the grid that it last ran: its memory fits that. */
typedef struct sq_crew {
    struct sq_crew *next;
    squall_nowcaster *nowcaster;
    size_t width, height;
} sq_crew;

static void look_at_file(const char *path, int64_t *time, int64_t *bytes)
{
    struct stat about;
    const bool there = stat(path, &about) == 0;
    *time = there ? (int64_t)about.st_mtim.tv_sec * 1000000000 + about.st_mtim.tv_nsec : 0;
    *bytes = there ? (int64_t)about.st_size : -1;
}

/* The engine of `model`, and how far back it looks. */
static squall_status open_engine(sq_model *model, squall_notes *notes, squall_error *err)
{
    squall_engine_options options;
    squall_nowcaster *nowcaster = NULL;
    if (model->config.file[0] == '\0') {
        return sq_fail(err, SQUALL_E_NO_DATA, model->config.name,
                       "no version of it is in service yet; squall release start brings one");
    }
    squall_engine_options_init(&options);
    options.trusted_keys =
        model->config.trusted_keys[0] != '\0' ? model->config.trusted_keys : NULL;
    SQ_TRY(squall_engine_open(model->config.file, &options, &model->engine, notes, err));
    const squall_status status = squall_nowcaster_create(model->engine, 1, &nowcaster, err);
    if (status != SQUALL_OK) {
        squall_engine_close(&model->engine);
        return status;
    }
    const squall_recipe *recipe = squall_nowcaster_recipe(nowcaster);
    model->reach_s = -squall_recipe_earliest_s(recipe) + squall_recipe_tolerance_s(recipe);
    squall_nowcaster_destroy(&nowcaster);
    return SQUALL_OK;
}

sq_model *sq_model_create(const sq_config_engine *config, sq_log *log)
{
    squall_error problem = {.code = SQUALL_OK};
    squall_notes *notes = squall_notes_create();
    sq_model *model = sq_alloc(1, sizeof *model);
    if (model == NULL) {
        squall_notes_destroy(&notes);
        return NULL;
    }
    atomic_init(&model->refs, 1);
    pthread_mutex_init(&model->mutex, NULL);
    model->config = *config;
    look_at_file(config->file, &model->file_time, &model->file_bytes);
    if (open_engine(model, notes, &problem) != SQUALL_OK) {
        sq_log_failure(log, SQ_LOG_ERROR, "engine", &problem);
    }
    for (size_t i = 0; notes != NULL && i < squall_notes_count(notes); i++) {
        sq_log_say(log, SQ_LOG_WARNING, "engine", squall_notes_get(notes, i));
    }
    squall_notes_destroy(&notes);
    return model;
}

bool sq_model_is_current(const sq_model *model)
{
    int64_t time, bytes;
    look_at_file(model->config.file, &time, &bytes);
    return model->engine != NULL && time == model->file_time && bytes == model->file_bytes;
}

sq_model *sq_model_keep(sq_model *model)
{
    atomic_fetch_add(&model->refs, 1);
    return model;
}

void sq_model_drop(sq_model **model)
{
    sq_model *m = *model;
    *model = NULL;
    if (m == NULL || atomic_fetch_sub(&m->refs, 1) != 1) {
        return;
    }
    while (m->free != NULL) {
        sq_crew *next = m->free->next;
        squall_nowcaster_destroy(&m->free->nowcaster);
        sq_free(m->free);
        m->free = next;
    }
    squall_engine_close(&m->engine);
    pthread_mutex_destroy(&m->mutex);
    sq_free(m);
}

squall_status sq_model_borrow(sq_model *model, const squall_grid *grid, int32_t threads,
                              squall_nowcaster **out, squall_error *err)
{
    pthread_mutex_lock(&model->mutex);
    for (sq_crew **at = &model->free; *at != NULL; at = &(*at)->next) {
        if ((*at)->width == grid->width && (*at)->height == grid->height) {
            sq_crew *crew = *at;
            *at = crew->next;
            pthread_mutex_unlock(&model->mutex);
            *out = crew->nowcaster;
            sq_free(crew);
            return SQUALL_OK;
        }
    }
    pthread_mutex_unlock(&model->mutex);
    if (model->engine == NULL) {
        return sq_fail(err, SQUALL_E_NO_DATA, model->config.name, "the engine is not open");
    }
    return squall_nowcaster_create(model->engine, threads, out, err);
}

void sq_model_return(sq_model *model, const squall_grid *grid, squall_nowcaster *nowcaster)
{
    sq_crew *crew = sq_alloc(1, sizeof *crew);
    if (crew == NULL) {
        squall_nowcaster_destroy(&nowcaster);
        return;
    }
    crew->nowcaster = nowcaster;
    crew->width = grid->width;
    crew->height = grid->height;
    pthread_mutex_lock(&model->mutex);
    crew->next = model->free;
    model->free = crew;
    pthread_mutex_unlock(&model->mutex);
}
