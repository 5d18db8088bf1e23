#include "engine/distributed/mpi/mpi.h"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>
#include <vector>

#include "engine/base/text.h"
#include "engine/distributed/mpi/interface.h"

namespace retort {

namespace {

namespace fs = std::filesystem;

struct Kind {
  const char *plugin, *package;
};

constexpr Kind of_open_mpi{"libretort_mpi_openmpi.so", "libopenmpi-dev"},
    of_mpich{"libretort_mpi_mpich.so", "libmpich-dev"};

// Beside the program, and where it is installed.
std::vector<fs::path> folders() {
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  return {program, program / "../lib/retort", program / "../lib"};
}

struct Opened {
  void* handle = nullptr;
  std::string file, reasons;
};

Opened open_file(const fs::path& file) {
  // Open MPI opens parts of itself, which look for its names among those that everybody sees.
  Opened opened{::dlopen(file.c_str(), RTLD_NOW | RTLD_GLOBAL), file.string(), {}};
  if (!opened.handle) opened.reasons = ::dlerror();
  return opened;
}

Opened open_plugin(const Launch& launch) {
  const std::string started = text(launch.size, " processes were started by ", name_of(launch.by));
  if (const char* own = std::getenv("RETORT_MPI_PLUGIN"); own && *own) {
    Opened opened = open_file(own);
    check(opened.handle, Fault::device, started,
          ", and RETORT_MPI_PLUGIN cannot be opened: ", opened.reasons);
    return opened;
  }
  std::vector<Kind> kinds = {of_open_mpi, of_mpich};
  if (launch.by == Launch::By::open_mpi) kinds = {of_open_mpi};
  if (launch.by == Launch::By::mpich) kinds = {of_mpich};
  std::string reasons;
  for (const Kind& kind : kinds) {
    for (const fs::path& folder : folders()) {
      std::error_code ignored;
      if (!fs::exists(folder / kind.plugin, ignored)) continue;
      Opened opened = open_file(fs::weakly_canonical(folder / kind.plugin, ignored));
      if (opened.handle) return opened;
      reasons += "; " + opened.reasons;
    }
  }
  std::vector<std::string> plugins, packages;
  for (const Kind& kind : kinds) plugins.push_back(kind.plugin), packages.push_back(kind.package);
  fail(Fault::device, started, ", which exchange gradients through ", join(plugins, " or "), ", and ",
       reasons.empty() ? "it is not beside the program" : "it cannot be opened", reasons, "; build where ",
       join(packages, " or "), " is installed, or say --world off to train in this process alone");
}

template <class Function>
Function* function_of(const Opened& plugin, const char* name) {
  return reinterpret_cast<Function*>(::dlsym(plugin.handle, name));
}

class MpiTransport : public Transport {
 public:
  explicit MpiTransport(const RetortMpi& mpi) : mpi_(mpi) {}
  ~MpiTransport() override { mpi_.close(); }
  int rank() const override { return mpi_.rank; }
  int size() const override { return mpi_.size; }
  std::string description() const override { return mpi_.library; }
  void abort(int code) noexcept override { mpi_.abort(code); }

  void exchange(const std::vector<Message>& sends, const std::vector<Message>& receives) override {
    const auto plain = [](const std::vector<Message>& messages) {
      std::vector<RetortMpiMessage> all;
      for (const Message& m : messages) all.push_back({m.rank, m.data, m.bytes});
      return all;
    };
    const std::vector<RetortMpiMessage> out = plain(sends), in = plain(receives);
    int silent = 0;
    check_result(mpi_.exchange(out.data(), int(out.size()), in.data(), int(in.size()), time_limit(), &silent),
                 silent);
  }

  bool all_sum(const Tensor& values) override {
    int silent = 0;
    const int result = mpi_.all_sum(values.data, static_cast<unsigned long long>(values.size()),
                                    int(size_of(values.type)), time_limit(), &silent);
    check_result(result, silent);
    return true;
  }

 private:
  void check_result(int result, int silent) const {
    if (result == RETORT_MPI_DONE) return;
    check(result == RETORT_MPI_SILENT, Fault::lost, "MPI has lost a process of the run");
    const std::string who = silent < 0 ? "a rank" : text("rank ", silent);
    fail(Fault::lost, who, " of ", size(), " has not answered for ", time_limit(), " s");
  }

  RetortMpi mpi_;
};

}  // namespace

std::unique_ptr<Transport> open_mpi(const Launch& launch) {
  const Opened plugin = open_plugin(launch);
  const auto open = function_of<decltype(retort_mpi_open)>(plugin, "retort_mpi_open");
  check(open != nullptr, Fault::device, plugin.file, ": is no plugin of retort, retort_mpi_open is missing");
  // The first version's plugins have no such function.
  const auto asked = function_of<decltype(retort_mpi_interface)>(plugin, "retort_mpi_interface");
  const int interface = asked ? asked() : 1;
  check(interface == RETORT_MPI_INTERFACE, Fault::device, plugin.file, ": is a plugin of another version, ",
        interface, " instead of ", RETORT_MPI_INTERFACE, "; build it again");
  RetortMpi mpi{};
  char message[256] = {};
  check(open(&mpi, message, sizeof message) == 0, Fault::device, plugin.file, ": ", message);
  if (mpi.size != launch.size || mpi.rank != launch.rank) {
    const int rank = mpi.rank, size = mpi.size;
    const std::string library = mpi.library;
    if (size == 1) mpi.close();
    fail(Fault::usage, name_of(launch.by), " says rank ", launch.rank, " of ", launch.size, ", ", library,
         " says rank ", rank, " of ", size, ": the launcher is of another MPI than ", plugin.file,
         "; each process would train alone. Start with that MPI's own mpirun, or name the plugin of the "
         "launcher's MPI in RETORT_MPI_PLUGIN");
  }
  return std::make_unique<MpiTransport>(mpi);
}

}  // namespace retort
