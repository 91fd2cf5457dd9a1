/* tests/unit/edge/power/test_power.c - counters of energy in a folder that looks like /sys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "edge/power/power.h"

static char root[] = "power_XXXXXX";

static void put(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s/sys/class/%s", root, path);
    for (char *slash = strchr(whole, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(whole, 0777);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int prepare(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    put("powercap/intel-rapl:0/name", "package-0\n");
    put("powercap/intel-rapl:0/energy_uj", "9000000\n");
    put("powercap/intel-rapl:0/max_energy_range_uj", "10000000\n");
    put("powercap/intel-rapl:0:0/name", "core\n"); /* part of the package */
    put("powercap/intel-rapl:0:0/energy_uj", "1\n");
    put("powercap/intel-rapl:1/name", "psys\n"); /* all of it, packages too */
    put("powercap/intel-rapl:1/energy_uj", "1\n");
    put("hwmon/hwmon0/name", "k10temp\n");
    put("hwmon/hwmon1/name", "ina3221\n");
    put("hwmon/hwmon1/in1_label", "VDD_IN\n");
    put("hwmon/hwmon1/in1_input", "5000\n");
    put("hwmon/hwmon1/curr1_input", "1000\n");
    put("hwmon/hwmon1/in2_input", "5000\n");
    put("hwmon/hwmon1/curr2_input", "600\n");
    put("power_supply/AC/type", "Mains\n");
    put("power_supply/mouse/type", "Battery\n");
    put("power_supply/mouse/scope", "Device\n");
    put("power_supply/mouse/capacity", "3\n");
    put("power_supply/BAT0/type", "Battery\n");
    put("power_supply/BAT0/status", "Discharging\n");
    put("power_supply/BAT0/capacity", "87\n");
    put("power_supply/BAT0/voltage_now", "12000000\n");
    put("power_supply/BAT0/current_now", "-500000\n");
    return 0;
}

static int tidy(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static bool near(double a, double b)
{
    return a > b - 1e-9 && a < b + 1e-9;
}

static void test_counters(void **state)
{
    (void)state;
    sq_power power;
    sq_power_open(&power, root, 100.0);
    assert_int_equal(power.count, 4);
    assert_int_equal(power.battery_percent, 87);
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_RAPL), 0));
    put("powercap/intel-rapl:0/energy_uj", "500000\n"); /* begun again at 10 J */
    put("hwmon/hwmon1/curr1_input", "3000\n");
    put("power_supply/BAT0/power_now", "8000000\n"); /* says itself what current and voltage did */
    put("power_supply/BAT0/capacity", "86\n");
    sq_power_read(&power, 102.0);
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_RAPL), 1.5));
    /* VDD_IN feeds channel 2: 5 W, then 15 W, two seconds; the battery 6 W, then 8 W */
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_INA3221), 20.0));
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_BATTERY), 14.0));
    assert_int_equal(power.battery_percent, 86);
    put("power_supply/BAT0/status", "Charging\n");
    sq_power_read(&power, 102.0);
    sq_power_read(&power, 112.0);
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_BATTERY), 14.0));
}

/* Nonsense and what vanishes is left out, and comes back. */
static void test_broken(void **state)
{
    (void)state;
    sq_power power;
    put("powercap/intel-rapl:0/energy_uj", "1000000\n");
    put("hwmon/hwmon1/in1_input", "5000\n");
    sq_power_open(&power, root, 0.0);
    put("powercap/intel-rapl:0/energy_uj", "what\n");
    put("hwmon/hwmon1/in1_input", "");
    put("power_supply/BAT0/capacity", "255\n");
    sq_power_read(&power, 1.0);
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_RAPL), 0));
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_INA3221), 0));
    assert_int_equal(power.battery_percent, -1);
    put("powercap/intel-rapl:0/energy_uj", "4000000\n");
    put("hwmon/hwmon1/in1_input", "5000\n");
    sq_power_read(&power, 2.0);
    sq_power_read(&power, 3.0);
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_RAPL), 3.0));
    assert_true(near(sq_power_energy_j(&power, SQ_POWER_INA3221), 15.0)); /* from 2 to 3 s */
}

static void test_nothing(void **state)
{
    (void)state;
    sq_power power;
    sq_power_open(&power, "/nonexistent", 0.0);
    sq_power_read(&power, 1.0);
    assert_int_equal(power.count, 0);
    assert_int_equal(power.battery_percent, -1);
    assert_true(sq_power_energy_j(&power, SQ_POWER_RAPL) < 0);
    assert_string_equal(sq_power_kind_name(SQ_POWER_RAPL), "RAPL");
    assert_string_equal(sq_power_kind_name(SQ_POWER_INA3221), "INA3221");
    assert_string_equal(sq_power_kind_name(SQ_POWER_BATTERY), "battery");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counters),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_nothing),
    };
    return cmocka_run_group_tests(tests, prepare, tidy);
}
