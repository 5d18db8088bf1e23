// Devices as cuDNN 9 describes them, so that it plans for one that is not there. The values are those of an
// H100 SXM and of an A100 SXM.
#pragma once
#include <string>

namespace retort::testing {

inline std::string described_gpu(const char* own) {
  return std::string(own) +
         R"("maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],"regsPerBlock":65536,)"
         R"("warpSize":32,"maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,)"
         R"("maxRegistersPerSM":65536,"maxCtasPerSM":32,"maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,)"
         R"("pciDeviceId":0,"isTccDriver":0,"supportCoopLaunch":1,"totalGlobalMem":85017755648})";
}
inline std::string described_h100() {
  return described_gpu(
      R"({"deviceVer":900,"driverVer":13000,"cudaDeviceId":0,"deviceName":"NVIDIA H100 80GB HBM3",)"
      R"("multiProcessorCount":132,"maxSharedMemoryPerBlockOptin":232448,"smClockRateKHz":1980000,)"
      R"("memClockRateKHz":2619000,"l2CacheSize":52428800,)");
}
inline std::string described_a100() {
  return described_gpu(
      R"({"deviceVer":800,"driverVer":13000,"cudaDeviceId":0,"deviceName":"NVIDIA A100-SXM4-80GB",)"
      R"("multiProcessorCount":108,"maxSharedMemoryPerBlockOptin":166912,"smClockRateKHz":1410000,)"
      R"("memClockRateKHz":1593000,"l2CacheSize":41943040,)");
}

}  // namespace retort::testing
