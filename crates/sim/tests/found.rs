//! Seeds that once found something, each under a sentence on what it was.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use sim::{Faults, Plan};

fn holds(faults: Faults, seed: u64) {
    Plan { faults, ..Plan::new(seed) }.run().unwrap();
}

fn holds_with_three(faults: Faults, seed: u64) {
    Plan { faults, goal: 3, ..Plan::new(seed) }.run().unwrap();
}

/// One of two replicas had lost unsynced writes with its power; fsync succeeded by the other, and readers were
/// sent to the first.
#[test]
fn an_fsync_leaves_no_replica_in_the_chain_that_lost_what_it_covers() {
    holds(Faults::PowerCuts, 11);
    holds(Faults::PowerCuts, 275);
}

/// Power took unsynced bytes of a file that was closed; the sync in the background failed with nobody to tell, and
/// an fsync through a handle opened later (or a syncfs) succeeded.
#[test]
fn an_fsync_tells_the_truth_about_what_an_earlier_handle_wrote() {
    [10, 21, 153, 189, 219, 269, 311, 322, 347].into_iter().for_each(|seed| holds(Faults::PowerCuts, seed));
}

/// A chain went on under a new version without a replica, and reads through the same mount were still sent to that
/// replica for up to a second: they lacked what had been written and flushed.
#[test]
fn a_mount_that_wrote_under_a_new_version_reads_no_replica_of_the_old_one() {
    holds(Faults::Kills, 847);
}

/// A writer died before its commit; another one extended the file, was given the same reservation, and its commit
/// brought bytes of the dead one to where zeroes had been answered.
#[test]
fn bytes_of_a_dead_writer_do_not_show_up_in_a_file_that_was_extended_since() {
    holds(Faults::PowerCuts, 1246);
}

/// The oracle expected a name to be there while its owner's rename was under way and not yet answered.
#[test]
fn a_name_may_be_gone_before_the_rename_that_takes_it_is_answered() {
    holds(Faults::Delays, 5445128616756569220);
}

/// A client was killed in close(2), and the oracle expected others to read what it had not stored.
#[test]
fn a_close_that_was_killed_promises_nothing() {
    holds(Faults::PowerCuts, 3039376334358518315);
}

/// The oracle expected "not permitted" where the master says that the new name exists: with both true, either is
/// right, and the oracle follows `meta`.
#[test]
fn a_link_of_a_directory_to_a_name_that_exists_is_refused_as_the_master_does() {
    holds(Faults::Kills, 307);
}

/// A create timed out, the next one of that name succeeded, and the oracle took its file for that of the first: after
/// a loss of power it held possible again what the second answer had ruled out.
#[test]
fn a_create_that_never_was_does_not_come_back_with_a_loss_of_power() {
    holds(Faults::PowerCuts, 5105);
}

/// A server lost power while a fresh chunk was written, reported without its replica, and then the chunk was
/// committed: the master kept that replica in its table for ever, as one that is away.
#[test]
fn a_replica_that_was_lost_before_its_chunk_was_committed_is_not_counted() {
    holds(Faults::PowerCuts, 5333);
}

/// A writer died with bytes stored beyond the end that it had not committed; the next one committed the same chunk and
/// truncated the file to a greater length; what the first had stored showed up beyond that.
#[test]
fn bytes_of_a_dead_writer_do_not_show_up_beyond_a_truncate_to_a_greater_length() {
    holds(Faults::Everything, 100_846);
}

/// A write was sent before an fsync was asked for, its connection broke, and it was sent again as a durable one: the head
/// answered the repeat as it had answered the first, and the fsync succeeded with nothing on stable storage.
#[test]
fn a_repeated_write_does_not_stand_for_the_flush_of_an_fsync() {
    holds(Faults::Network, 1_289_247_297_592_042_289);
    holds(Faults::Network, 3_598_549_451_102_661_400);
}

/// The answer to a commit came late, after the same client had truncated the file and written to it again: it was taken for
/// one that named the new chunk, so that no commit ever did, and what close(2) had stored was a hole.
#[test]
fn a_chunk_is_not_forgotten_because_its_predecessor_was_committed() {
    holds(Faults::SlowDisks, 5_343_630_572_976_206_706);
}

/// A disk hung until it counted as failed, and answered again: the master waited for a report of it that never came.
#[test]
fn a_disk_that_hung_and_is_well_again_is_reported_anew() {
    holds(Faults::SlowDisks, 3);
    holds(Faults::SlowDisks, 42);
}

/// A disk without room for a new stamp was not served at all until its server was started again.
#[test]
fn a_full_disk_is_served_although_it_cannot_count_a_registration() {
    holds(Faults::FullDisks, 10);
    holds(Faults::FullDisks, 19);
}

/// A disk could not store its counter, the master recorded it all the same, and at the next registration the disk was
/// taken for one that was rolled back.
#[test]
fn a_registration_that_a_disk_could_not_store_is_not_recorded() {
    holds(Faults::BadDisk, 24);
}

/// A client that was silent lost its append lock to another one, and took it again when it came back, because it named it among
/// what it held: it wrote over what the other had appended.
#[test]
fn an_append_lock_that_was_lost_does_not_come_back_with_the_connection() {
    holds(Faults::Network, 200_094);
}

/// The master believed in a replica that had been deleted while its disk reported: it asked it in vain whether another one might
/// be removed, for ever.
#[test]
fn a_replica_that_is_not_there_any_more_is_not_counted() {
    holds(Faults::Network, 200_018);
}

/// Of two members to be made equal the one with the bad disk could not follow the good one; the next round took the bad one for
/// the donor, whom the good one could not follow, and the good one was left behind.
#[test]
fn a_member_whose_own_disk_fails_is_left_behind_and_not_the_one_it_was_to_follow() {
    holds(Faults::BadDisk, 8_865_655_442_001_087_104);
}

/// The head of a chain synced what it had taken and forgot that it had been written, while the disk of the member behind hung; then
/// everybody lost power, and nobody was left to say that the two differed.
#[test]
fn a_replica_that_was_synced_before_the_others_had_the_write_is_compared_after_a_stop() {
    holds(Faults::Everything, 15_035_990_210_934_248_855);
}

/// Two members followed a third, whose server died meanwhile: the raise took another donor because of the first of them that could
/// not read it, and left the second one behind, so that one of three replicas remained of what an fsync had covered.
#[test]
fn a_donor_that_dies_takes_none_of_its_followers_with_it() {
    holds_with_three(Faults::SlowDisks, 9_687_408_308_672_555_946);
}

/// An fdatasync failed, the header could not say so, and the server was killed: its successor took what the page cache showed for
/// what the disk had, and the replica became the beginning of a copy that a loss of power would have damaged.
#[test]
fn what_a_failed_fdatasync_left_in_memory_does_not_count_as_stored_after_a_kill() {
    holds_with_three(Faults::BadDisk, 28_344_008_368);
}

/// A page of the record table rotted beside one that the device could not read: mending stopped at the second one, and the master took
/// that for a page that no replica has, for ever, instead of making the replica anew.
#[test]
fn a_replica_that_cannot_be_mended_in_place_is_made_anew() {
    holds(Faults::Rot, 15_378_232_498_157_954_853);
}

/// A writer died with a write across the end of the file, and the next one made the file longer: the oracle did not expect the border at
/// the end of before within a sector.
#[test]
fn what_a_dead_writer_wrote_across_the_end_is_cut_where_the_end_was() {
    holds_with_three(Faults::PowerCuts, 2_376_863_637_098_144_931);
}

/// Two of three servers were killed, or did not answer, while replicas were compared that nobody waited for: the one that remained was
/// recorded alone, and the others, which held all that an fsync had covered, began as stale.
#[test]
fn a_comparison_that_nobody_waits_for_does_not_leave_one_replica_of_three() {
    holds_with_three(Faults::PowerCuts, 13_387_340_993_594_532_051);
    holds_with_three(Faults::Everything, 15_856_874_534_874_632_110);
}

/// The header of a replica that was not needed any more could not be read: it could not be deleted, nor a copy take its place.
#[test]
fn a_replica_too_many_whose_header_cannot_be_read_is_set_aside() {
    holds(Faults::Rot, 11_918_544_688_780_626_261);
}

/// A server was killed while it wrote a chunk whose header its disk could not read afterwards: it refused the whole disk, for ever.
#[test]
fn a_sector_that_cannot_be_read_after_a_kill_does_not_cost_the_disk() {
    holds_with_three(Faults::Rot, 7_002_369);
}

/// A server came back with a version that no record named, and did not answer the raise that was to record it: its replica counted as
/// away for ever, although its disk had told all that it held.
#[test]
fn a_replica_that_was_to_be_taken_up_and_did_not_answer_is_not_forgotten() {
    holds(Faults::Network, 11_069_143_937_797_038_797);
}

/// A disk was at the sync of a raise for a truncate when master and client died: its server reported the old version to the new master,
/// which never heard that the raise was done, and readers were refused by a replica that is ahead.
#[test]
fn a_raise_that_outlasts_its_master_and_its_client_is_told_of() {
    holds(Faults::Edits, 2_602_058_509_894_994_639);
}

/// The oracle waited for a chunk to be compared that a loss of power had taken while it was unsettled.
#[test]
fn what_is_gone_is_not_waited_for_although_it_was_unsettled() {
    holds(Faults::PowerCuts, 2_886_368_954_661_658_794);
}

/// Two replicas were damaged in different pages, and while they were mended readers were told of one of them alone: they gave up.
#[test]
fn readers_are_told_of_all_damaged_replicas_while_they_are_mended() {
    holds(Faults::Rot, 35);
}

/// A loss of power during two creations of one name left the oracle in doubt which of them the file comes from; it took the one that had never
/// been answered, although the inode was known as the other's.
#[test]
fn an_inode_that_is_known_is_not_taken_for_a_file_whose_making_was_never_answered() {
    holds(Faults::Everything, 12_947_952_431_460_583_275);
}

/// The creation of a file that was open was lost with the master's power, its number went to another file (of a later generation), and
/// a truncate through the old handle cut that one.
#[test]
fn a_handle_whose_file_was_lost_cuts_no_file_that_has_its_number_since() {
    holds(Faults::PowerCuts, 4_680_562_960_155_186_419);
}

/// A truncate was done although its client had given it up; its next fsync named a chunk that had been synced and not been named before, and
/// which the truncate had removed: the file had it again, without a replica.
#[test]
fn what_a_truncate_removed_that_was_given_up_does_not_come_back_with_an_fsync() {
    holds_with_three(Faults::Everything, 5_071_014_452_586_265_116);
}

/// The write of a page of the record table landed elsewhere: after the next start the one before it, a sound one, called a page a hole that had
/// been written since, and readers were given zeroes.
#[test]
fn a_page_whose_record_was_lost_is_not_read_as_a_hole() {
    holds(Faults::Rot, 10_111_255_625_456_014_441);
}

/// Power took the first write of a page of the record table and left the data: what was under the hole passed for damage once the page of the
/// table was written.
#[test]
fn what_is_left_of_a_write_without_a_record_is_no_damage() {
    holds_with_three(Faults::PowerCuts, 7_677_784_363_611_963_513);
}

/// A file with two names lost the one that its mount had found it under, and was replaced under the other: the mount said that it did not use what it
/// took that name for, and the file that it had open was freed.
#[test]
fn an_open_file_that_is_replaced_under_its_other_name_can_still_be_written() {
    holds_with_three(Faults::Delays, 4_578_531_272_344_541_161);
}

/// A copy that had just come to its end was set aside for a replica to be filled, for which the disk had no room.
#[test]
fn a_replica_is_not_set_aside_for_one_that_finds_no_room() {
    holds_with_three(Faults::Everything, 6_752_234_140_969_643_232);
}

/// A head that heard no master refused a write for the moment, its writer told that as a failed hop, and the chain went on without it: on a disk whose
/// bits rotted.
#[test]
fn a_head_that_hears_no_master_is_not_left_out_of_its_chain() {
    holds(Faults::Rot, 4_615_797_692_569_945_917);
}

/// A mount that was cut off gave up writes to a chunk that was in no map yet, truncated the file, and got the same chunk again for its next writes:
/// bytes that had been cut off came back.
#[test]
fn a_chunk_with_writes_that_were_given_up_is_not_used_again() {
    holds(Faults::Network, 17_567_758_215_636_177_046);
}

/// Power took writes from three chunks of a file: three fsyncs in a row reported it, one for each.
#[test]
fn what_power_took_from_several_chunks_of_a_file_is_reported_by_one_fsync() {
    holds_with_three(Faults::PowerCuts, 17_740_032_983_887_881_188);
}

/// Power took a chunk that was never synced from all disks: each fsync of its file waited for it as long as it may, and failed.
#[test]
fn a_chunk_that_no_disk_has_any_more_does_not_fail_each_later_fsync() {
    holds(Faults::PowerCuts, 17_728_439_570_591_754_488);
}

/// As before, met by a mount that had been cut off.
#[test]
fn nor_does_it_after_a_mount_was_cut_off() {
    holds(Faults::Network, 14_729_213_749_743_675_797);
}

/// A handle of a file whose creation went with the master's power answered ESTALE to a second fsync: it always does.
#[test]
fn a_file_whose_creation_was_lost_is_gone_for_each_fsync() {
    holds(Faults::SlowDisks, 10_177_842_578_924_422_408);
}

/// A chunk was raised while the answer to a frame of the version before was on its way: it counted as the answer to a frame of the new version, so a sound
/// member passed for failed (and an *ok* could have stood for a write that it never had).
#[test]
fn a_late_answer_of_an_earlier_version_ends_nothing_of_this_one() {
    holds(Faults::BadDisk, 3_591_065_508_008_184_279);
}

/// The right to append came eleven seconds late over a way that was cut, after it had been given to another client, which had appended and synced since:
/// what was appended by it was promised a place that was taken (and was reported as lost afterwards). Later in the same run the master's power took a
/// truncate, and each fsync of the file failed, since its writer named the truncate with each commit.
#[test]
fn an_append_is_not_let_in_by_a_right_that_came_late() {
    holds(Faults::Everything, 17_706_433_595_804_038_590);
}

/// A replica was deleted, had anew on the same disk, and one of the others deleted then, while no client took a step: the check did not count the new one.
#[test]
fn a_replica_that_came_back_since_counts_when_a_deletion_is_judged() {
    holds(Faults::Everything, 6_248_752_414_549_167_430);
}

/// The master's disk was full: what it refused was zero on every replica.
#[test]
fn an_edit_that_is_refused_for_want_of_room_has_cut_nothing() {
    holds(Faults::FullDisks, 1);
}

/// The only replica that followed its writers was on the disk that rots, and said so: what is on it is not believed in either way, but the check took it for
/// none, and an fsync that it had carried out for a lie.
#[test]
fn an_fsync_is_judged_by_a_damaged_replica_as_by_one_whose_damage_nobody_met() {
    holds(Faults::Rot, 4_985_902_016_155_052_131);
}

/// A write was given up while the right to write was asked for. The answer, that it was to be asked for again, began the patience of the chunk, and the
/// fsync a minute later, which nobody had asked for in between, had none left for its first failure: a second one told of what had been lost meanwhile.
#[test]
fn what_was_given_up_takes_no_patience_from_what_comes_later() {
    holds(Faults::Network, 231_072_424_512_216_187);
}

/// A client that had appended was cut off before it could send anything. The right to append went to another one, which appended at the same place and
/// synced; the master was killed, and the next one believed the first client that the right was its own.
#[test]
fn a_right_to_append_that_went_to_another_client_does_not_come_back_with_the_next_master() {
    holds(Faults::Network, 17_771_499_649_647_977_536);
}

/// Power went while a segment of the changelog was being made: a file as long as one was left, without bytes of its own. It was made ready, the disk ran full, and
/// the master ended at the first write into it.
#[test]
fn a_segment_that_was_being_made_when_power_went_gets_its_bytes_before_it_is_used() {
    holds(Faults::FullDisks, 2_159_194_414_447_372_075);
}
