-- Which messages ended the passes of a batch: one that comes again repeats what it said, and no request.

ALTER TABLE batches
    ADD COLUMN ended_by text[],              -- ids of the messages that ended its last passes, the last first
    ADD COLUMN again_ms int;                 -- after which pause the next pass begins; NULL: when it is woken, or never
COMMENT ON COLUMN batches.ended_by IS 'A batch.paced found here was handled, and its worker died before it could say so.';
