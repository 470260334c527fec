"""Voice campaigns for the chain's tests: recordings, requests, and what the callees heard."""

import io
import json
import random
import wave

from chain import check, e164, expect


def recording(seconds, seed=1):
    """A WAV file; another seed is another file."""
    out = io.BytesIO()
    with wave.open(out, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(1)
        sound.setframerate(8000)
        sound.writeframes(random.Random(seed).randbytes(int(8000 * seconds)))
    return out.getvalue()


class Caller:
    """An account that calls."""

    def __init__(self, chain, tokens=1000000):
        self.chain = chain
        self.account = chain.account(tokens=tokens)

    def upload(self, sound, name="greeting.wav"):
        reply = self.account.ask("POST", "/api/communications/audio-assets", sound, "audio/wav",
                                 name=name)
        check(reply.status in (200, 201), "upload: %r" % (reply,))
        return reply.body["id"]

    def call(self, recipients, **fields):
        """recipients: numbers, or objects with fields."""
        return self.account.take(self.account.ask("POST", "/api/communications/voice", {
            "title": "Test", "recipients": recipients, **fields}))

    def stats(self, campaign):
        reply = self.account.ask("GET", "/api/campaigns/%s/stats/" % campaign.name)
        expect(reply.status, 200, "stats: %r" % (reply.body,))
        return reply.body

    def heard(self, phone):
        """The calls of a number, newest first, as the simulator saw them."""
        return self.chain.simulator.ask("calls?number=" + e164(phone).replace("+", "%2B"))
