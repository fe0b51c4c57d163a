// SPDX-License-Identifier: Apache-2.0
// find_processors(): the MADT of ACPI, or the MP table (MultiProcessor Specification 1.4).
#include "guest.h"

static const uint8_t* at(uint64_t address) { return (const uint8_t*)(uintptr_t)address; }
static uint16_t u16(const uint8_t* p) { return *(const uint16_t*)p; }
static uint32_t u32(const uint8_t* p) { return *(const uint32_t*)p; }
static uint64_t u64(const uint8_t* p) { return *(const uint64_t*)p; }

static bool starts_with(const uint8_t* p, const char* signature) {
  for (; *signature != '\0'; ++p, ++signature) {
    if (*p != (uint8_t)*signature) return false;
  }
  return true;
}

static const uint8_t* find_madt(void) {
  if (boot.rsdp == 0) return NULL;
  const uint8_t* xsdt = at(u64(at(boot.rsdp) + 24));
  if (!starts_with(xsdt, "XSDT")) return NULL;
  for (uint32_t i = 36; i + 8 <= u32(xsdt + 4); i += 8) {
    const uint8_t* table = at(u64(xsdt + i));
    if (starts_with(table, "APIC")) return table;
  }
  return NULL;
}

static uint32_t read_madt(const uint8_t* madt, uint32_t* apic_ids, uint32_t max) {
  uint32_t count = 0;
  for (uint32_t i = 44; i + 2 <= u32(madt + 4) && madt[i + 1] > 0; i += madt[i + 1]) {
    const uint8_t* entry = madt + i;
    if (entry[0] == 0 && (entry[4] & 1) != 0 && count < max) apic_ids[count++] = entry[3];
    if (entry[0] == 9 && (entry[8] & 1) != 0 && count < max) apic_ids[count++] = u32(entry + 4);
  }
  return count;
}

static uint32_t read_mp_table(uint32_t* apic_ids, uint32_t max) {
  const uint8_t* pointer = at(0xf0000);
  while (pointer < at(0x100000) && !starts_with(pointer, "_MP_")) pointer += 16;
  if (pointer == at(0x100000)) return 0;
  const uint8_t* table = at(u32(pointer + 4));
  if (!starts_with(table, "PCMP")) return 0;
  uint32_t count = 0;
  const uint8_t* entry = table + 44;
  for (uint32_t i = u16(table + 34); i > 0; --i) {
    if (entry[0] == 0 && (entry[3] & 1) != 0 && count < max) apic_ids[count++] = entry[1];
    entry += entry[0] == 0 ? 20 : 8;
  }
  return count;
}

uint32_t find_processors(uint32_t* apic_ids, uint32_t max) {
  const uint8_t* madt = option("noacpi") == NULL ? find_madt() : NULL;
  print(madt != NULL ? "processors by MADT" : "processors by MP table");
  const uint32_t count =
      madt != NULL ? read_madt(madt, apic_ids, max) : read_mp_table(apic_ids, max);
  print(": ");
  print_u64(count);
  print("\n");
  return count;
}
