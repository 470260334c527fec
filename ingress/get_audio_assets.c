/*
 * GET /api/communications/audio-assets and /{id} - the account's files of sound, newest first
 */
#include "audio_view.h"
#include "page.h"
#include "routes.h"

enum reply get_audio_assets(struct request *req)
{
    static const char *const known[] = { "limit", "cursor", NULL };
    struct str *out = &req->body_out;
    struct audio_asset *assets;
    struct page page;
    struct err err;
    enum reply reply;
    size_t found;

    if ((reply = request_check_arguments(req, known)) != REPLY_NONE ||
        (reply = page_read(req, &page)) != REPLY_NONE) {
        return reply;
    }
    if (!audio_asset_list(req->db, req->caller.account_id, page.after, (size_t)page.limit + 1,
                          req->arena, &assets, &found, &err)) {
        return refuse_err(req, &err);
    }
    size_t rows = found < (size_t)page.limit ? found : (size_t)page.limit;
    str_puts(out, "{\"audioAssets\":[");
    for (size_t i = 0; i < rows; i++) {
        str_puts(out, i > 0 ? "," : "");
        audio_view_put(out, &assets[i], NULL);
    }
    str_putc(out, ']');
    page_end(out, found > rows, rows > 0 ? assets[rows - 1].id : 0);
    str_putc(out, '}');
    return REPLY_OK;
}

enum reply get_audio_asset(struct request *req)
{
    struct audio_asset asset;
    enum reply reply = audio_view_find(req, &asset);

    if (reply != REPLY_NONE) {
        return reply;
    }
    audio_view_put(&req->body_out, &asset, NULL);
    return REPLY_OK;
}
