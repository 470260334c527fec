/*
 * fuzz_voice_request - the name of a request, as the provider's callbacks bring it back
 *
 * Whatever is read says the same once it is written anew and read again.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "campaign/voice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *request = strndup((const char *)data, size);
    int64_t campaign, same_campaign;
    int batch, pass, same_batch, same_pass;

    assert(request != NULL);
    if (voice_request_read(request, &campaign, &batch, &pass)) {
        char again[VOICE_REQUEST_BYTES];

        assert(campaign > 0 && batch > 0 && pass > 0);
        voice_request_write(campaign, batch, pass, again);
        assert(voice_request_read(again, &same_campaign, &same_batch, &same_pass));
        assert(same_campaign == campaign && same_batch == batch && same_pass == pass);
    }
    free(request);
    return 0;
}
