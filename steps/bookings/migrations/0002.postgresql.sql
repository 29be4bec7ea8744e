-- Two rides of a member never overlap. Stored moments sort as texts, so a range of texts is a range of time; a member
-- is the range from its name to its name, which spares the extension that equality under GiST would need.
CREATE TYPE text_span AS RANGE (SUBTYPE = text, COLLATION = "C");
ALTER TABLE booking_slots ADD CONSTRAINT booking_slots_overlap EXCLUDE USING gist (
  text_span(member_ref, member_ref, '[]') WITH &&,
  text_span(starts_at, ends_at) WITH &&
) WHERE (active = 1);
