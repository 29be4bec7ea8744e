-- Events about a member (`member.erased`) are in the outbox under the member's pseudonym.
ALTER TABLE outbox DROP CONSTRAINT outbox_booking_id_fkey;
