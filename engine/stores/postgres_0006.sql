-- Tolerated failures count items, of which a child that runs a batch has several.

ALTER TABLE map_runs ADD COLUMN lost bigint NOT NULL DEFAULT 0;  -- items of the children that have failed or were aborted

UPDATE map_runs SET lost = failed + aborted;
