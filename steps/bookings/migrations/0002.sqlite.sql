-- Two rides of a member never overlap. Writers of SQLite take turns, so looking before writing is enough.
CREATE TRIGGER booking_slots_overlap BEFORE INSERT ON booking_slots
WHEN NEW.active = 1 AND EXISTS (
  SELECT 1 FROM booking_slots s
  WHERE s.member_ref = NEW.member_ref AND s.active = 1 AND s.booking_id <> NEW.booking_id
    AND s.starts_at < NEW.ends_at AND s.ends_at > NEW.starts_at
)
BEGIN SELECT RAISE(ABORT, 'booking_slots_overlap'); END;

CREATE TRIGGER booking_slots_moved BEFORE UPDATE OF member_ref, starts_at, ends_at, active ON booking_slots
WHEN NEW.active = 1 AND EXISTS (
  SELECT 1 FROM booking_slots s
  WHERE s.member_ref = NEW.member_ref AND s.active = 1 AND s.booking_id <> NEW.booking_id
    AND s.starts_at < NEW.ends_at AND s.ends_at > NEW.starts_at
)
BEGIN SELECT RAISE(ABORT, 'booking_slots_overlap'); END;
