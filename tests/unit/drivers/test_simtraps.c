/*
 * The traps of real drivers, each walked into on purpose by a small driver that talks to the device as
 * simdisk does, by registers, windows and line. What must hold: each is caught - by a fault, an
 * assertion, or a count - and none harms memory that is not the device's.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "base/clock.h"
#include "drivers/sim/bus.h"
#include "drivers/sim/device.h"
#include "harness/runner.h"

#define DISK_BYTES (1u << 20)

static struct bus bus;
static struct device *device;
static struct clock *clock_;

static void setup(void)
{
	const struct device_config config = {
		.profile = sim_profile_find("ssd"),
		.size_bytes = DISK_BYTES,
		.transfer_bytes_max = 65536,
	};

	memset(&bus, 0, sizeof(bus));
	clock_ = clock_create_virtual((struct timespec){0});
	ck_assert_int_eq(bus_init(&bus, clock_, &sim_costs_default, 8), 0);
	ck_assert_int_eq(device_create(&bus, &config, &device), 0);
}

static void teardown(void)
{
	device_destroy(device);
	bus_done(&bus);
	clock_destroy(clock_);
}

static void run_until_idle(void)
{
	uint64_t next;

	while ((next = device_next_ns(device)) != DEVICE_NEVER) {
		if (next > clock_now_ns(clock_))
			clock_advance(clock_, next - clock_now_ns(clock_));
		device_run(device);
	}
}

/* A read of 512 bytes to a bus address, by DMA. */
static struct sim_descriptor descriptor;
static bus_addr_t descriptor_at;

static void begin_dma(uint32_t opcode, bus_addr_t to, uint32_t len)
{
	descriptor = (struct sim_descriptor){.address = to, .len_bytes = len};
	ck_assert_int_eq(window_map(bus.windows, &descriptor, sizeof(descriptor), WINDOW_DEVICE_READS,
				    &descriptor_at), 0);
	bus_write64(&bus, REG_LBA_LOW, 8);
	bus_write(&bus, REG_COUNT, len);
	bus_write64(&bus, REG_DMA_LOW, descriptor_at);
	bus_write(&bus, REG_DMA_COUNT, 1);
	bus_write(&bus, REG_COMMAND, opcode);
}

static void check_fault(uint64_t address)
{
	uint64_t at = bus_read(&bus, REG_FAULT_LOW) | (uint64_t)bus_read(&bus, REG_FAULT_HIGH) << 32;

	ck_assert_uint_eq(bus_read(&bus, REG_STATUS), STATUS_READY | STATUS_ERR);
	ck_assert_uint_eq(bus_read(&bus, REG_ERROR), ERROR_WINDOW);
	ck_assert_uint_eq(counter_get(&bus.stats.faults), 1);
	ck_assert_uint_eq(at, address);
}

static bool is_untouched(const unsigned char *memory, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (memory[i] != 0xaa)
			return false;
	return true;
}

START_TEST(the_device_reaches_what_is_mapped)
{
	unsigned char memory[512];
	bus_addr_t at;

	memset(memory, 0xaa, sizeof(memory));
	ck_assert_int_eq(window_map(bus.windows, memory, 512, WINDOW_DEVICE_WRITES, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 512);
	run_until_idle();
	ck_assert_uint_eq(bus_read(&bus, REG_STATUS), STATUS_READY);
	ck_assert_uint_eq(memory[0], 0);
	ck_assert_uint_eq(memory[511], 0);
	ck_assert_uint_eq(counter_get(&bus.stats.dma_bytes), 512);
}
END_TEST

START_TEST(a_buffer_released_before_the_end_is_not_written)
{
	unsigned char memory[512];
	bus_addr_t at;

	memset(memory, 0xaa, sizeof(memory));
	ck_assert_int_eq(window_map(bus.windows, memory, 512, WINDOW_DEVICE_WRITES, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 512);
	window_unmap(bus.windows, at);	/* the trap */
	run_until_idle();
	check_fault(at);
	ck_assert(is_untouched(memory, sizeof(memory)));
}
END_TEST

START_TEST(memory_mapped_after_it_at_the_same_place_is_not_hit)
{
	unsigned char old[512], young[512];
	bus_addr_t at, other;

	memset(young, 0xaa, sizeof(young));
	ck_assert_int_eq(window_map(bus.windows, old, 512, WINDOW_DEVICE_WRITES, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 512);
	window_unmap(bus.windows, at);
	ck_assert_int_eq(window_map(bus.windows, young, 512, WINDOW_DEVICE_WRITES, &other), 0);
	run_until_idle();
	check_fault(at);
	ck_assert(is_untouched(young, sizeof(young)));
}
END_TEST

START_TEST(a_transfer_over_the_windows_end_is_a_fault)
{
	unsigned char memory[1024];
	bus_addr_t at;

	memset(memory, 0xaa, sizeof(memory));
	ck_assert_int_eq(window_map(bus.windows, memory, 512, WINDOW_DEVICE_WRITES, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 1024);
	run_until_idle();
	check_fault(at);
	ck_assert(is_untouched(memory, sizeof(memory)));
}
END_TEST

START_TEST(a_window_for_reading_is_not_written)
{
	unsigned char memory[512];
	bus_addr_t at;

	memset(memory, 0xaa, sizeof(memory));
	ck_assert_int_eq(window_map(bus.windows, memory, 512, WINDOW_DEVICE_READS, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 512);
	run_until_idle();
	check_fault(at);
	ck_assert(is_untouched(memory, sizeof(memory)));
}
END_TEST

START_TEST(descriptors_that_are_too_few_or_not_there_are_a_fault)
{
	begin_dma(OPCODE_READ_DMA, 0, 512);
	bus_write(&bus, REG_COMMAND, OPCODE_RESET);
	bus_write(&bus, REG_DMA_COUNT, 0);
	bus_write(&bus, REG_COMMAND, OPCODE_READ_DMA);
	run_until_idle();
	check_fault(0);
}
END_TEST

START_TEST(after_a_reset_a_former_command_moves_nothing)
{
	unsigned char memory[512];
	bus_addr_t at;

	memset(memory, 0xaa, sizeof(memory));
	ck_assert_int_eq(window_map(bus.windows, memory, 512, WINDOW_DEVICE_WRITES, &at), 0);
	begin_dma(OPCODE_READ_DMA, at, 512);
	bus_write(&bus, REG_COMMAND, OPCODE_RESET);
	ck_assert_uint_eq(device_next_ns(device), DEVICE_NEVER);
	ck_assert(is_untouched(memory, sizeof(memory)));
	ck_assert_uint_eq(bus_read(&bus, REG_STATUS), STATUS_READY);
}
END_TEST

static void work_in_the_top_half(void)
{
	setup();
	bus_write(&bus, REG_COUNT, 512);
	bus_write(&bus, REG_IRQ_MASK, IRQ_DRQ);
	bus_write(&bus, REG_COMMAND, OPCODE_READ_PIO);
	run_until_idle();
	if (!bus_line_is_high(&bus))
		return;
	bus_enter_top_half(&bus);
	bus_read(&bus, REG_IRQ_STATUS);
	bus_read(&bus, REG_DATA);	/* the trap: the words are the bottom half's work */
}

START_TEST(work_in_the_top_half_stops_the_program)
{
	char text[4000];

	ck_assert_int_eq(test_run_to_death(work_in_the_top_half, text, sizeof(text)), SIGABRT);
	ck_assert_ptr_nonnull(strstr(text, "is_in_top_half"));
}
END_TEST

/*
 * A register that the compiler keeps in one of its own: the loop over a plain word is one look and no
 * loop at all. The signal stands for the device, which changes the word behind the program's back.
 */
static reg32_t status_word;

static void device_is_done(int sig)
{
	(void)sig;
	reg_store(&status_word, STATUS_READY);
}

__attribute__((noinline, optimize("O2"), no_sanitize("undefined"))) static bool
poll_plain(const uint32_t *word, uint64_t looks)
{
	while (looks--)
		if (*word & STATUS_READY)
			return true;
	return false;
}

__attribute__((noinline, optimize("O2"))) static bool poll_register(const volatile reg32_t *reg,
								    uint64_t looks)
{
	while (looks--)
		if (reg_load(reg) & STATUS_READY)
			return true;
	return false;
}

static void begin_signal(void)
{
	struct itimerval in_20_ms = {.it_value = {.tv_usec = 20000}};

	atomic_store(&status_word, 0);
	signal(SIGALRM, device_is_done);
	setitimer(ITIMER_REAL, &in_20_ms, NULL);
}

START_TEST(a_register_is_read_as_often_as_it_is_asked)
{
	ck_assert_msg(_Generic(&bus.regs[REG_STATUS], volatile reg32_t * : 1, default : 0),
		      "not volatile");
	begin_signal();
	ck_assert(poll_register(&status_word, 1ull << 40));
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
	/* The trap: the device is done meanwhile, and is not heard, for only one look was made. */
	begin_signal();
	ck_assert(!poll_plain((const uint32_t *)&status_word, 1ull << 28));
#else
	ck_assert(poll_plain((const uint32_t *)&status_word, 1));
#endif
}
END_TEST

START_TEST(commands_that_make_no_sense_are_refused)
{
	bus_write64(&bus, REG_LBA_LOW, DISK_BYTES / 512);
	bus_write(&bus, REG_COUNT, 512);
	bus_write(&bus, REG_COMMAND, OPCODE_READ_PIO);
	ck_assert_uint_eq(bus_read(&bus, REG_ERROR), ERROR_RANGE);
	bus_write64(&bus, REG_LBA_LOW, UINT64_MAX);
	bus_write(&bus, REG_COMMAND, OPCODE_READ_PIO);
	ck_assert_uint_eq(bus_read(&bus, REG_ERROR), ERROR_RANGE);
	bus_write64(&bus, REG_LBA_LOW, 0);
	bus_write(&bus, REG_COUNT, 131072);	/* more than it has room for */
	bus_write(&bus, REG_COMMAND, OPCODE_READ_PIO);
	ck_assert_uint_eq(bus_read(&bus, REG_ERROR), ERROR_RANGE);
	bus_write(&bus, REG_COMMAND, 99);
	ck_assert_uint_eq(bus_read(&bus, REG_ERROR), ERROR_OPCODE);
	ck_assert_uint_eq(bus_read(&bus, REG_STATUS), STATUS_READY | STATUS_ERR);
}
END_TEST

START_TEST(a_masked_interrupt_is_remembered_and_raises_the_line_when_unmasked)
{
	bus_write(&bus, REG_COUNT, 512);
	bus_write(&bus, REG_COMMAND, OPCODE_READ_PIO);
	run_until_idle();
	ck_assert(!bus_line_is_high(&bus));
	bus_write(&bus, REG_IRQ_MASK, IRQ_DRQ);
	ck_assert(bus_line_is_high(&bus));
	bus_write(&bus, REG_IRQ_STATUS, IRQ_DRQ);
	ck_assert(!bus_line_is_high(&bus));
}
END_TEST

TEST_SUITE(drivers_simtraps)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, the_device_reaches_what_is_mapped);
	tcase_add_test(tc, a_buffer_released_before_the_end_is_not_written);
	tcase_add_test(tc, memory_mapped_after_it_at_the_same_place_is_not_hit);
	tcase_add_test(tc, a_transfer_over_the_windows_end_is_a_fault);
	tcase_add_test(tc, a_window_for_reading_is_not_written);
	tcase_add_test(tc, descriptors_that_are_too_few_or_not_there_are_a_fault);
	tcase_add_test(tc, after_a_reset_a_former_command_moves_nothing);
	tcase_add_test(tc, work_in_the_top_half_stops_the_program);
	tcase_add_test(tc, a_register_is_read_as_often_as_it_is_asked);
	tcase_add_test(tc, commands_that_make_no_sense_are_refused);
	tcase_add_test(tc, a_masked_interrupt_is_remembered_and_raises_the_line_when_unmasked);
}
