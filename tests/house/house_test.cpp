// The house rules, held against every file: what may include what (rooms.txt), no circle of units, how long a
// room may be, whose headers are named where, and that files are read and written by engine/base alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "distill/methods/registry.h"
#include "engine/base/file.h"

namespace retort {
namespace {

namespace fs = std::filesystem;

const fs::path source = RETORT_SOURCE;

struct Room {
  std::string name;
  int floor = 0, budget = 0;
  std::vector<std::string> forbidden;
};

// Of names of rooms, files or units: a is b, or lies in it.
bool within(const std::string& path, const std::string& room) {
  return path.starts_with(room) && (path.size() == room.size() || path[room.size()] == '/' ||
                                    path[room.size()] == '.' || room.find('.') != std::string::npos);
}

std::vector<Room> read_rooms() {
  std::vector<Room> rooms;
  std::istringstream lines(read_text_file(source / "tests/house/rooms.txt"));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line.substr(0, line.find('#')));
    Room room;
    if (!(words >> room.floor >> room.name >> room.budget)) continue;
    for (std::string name; words >> name;) room.forbidden.push_back(name);
    rooms.push_back(std::move(room));
  }
  return rooms;
}

// A folder's room, or the room of a file that has one of its own; null for what is not in the table.
const Room* room_of(const std::vector<Room>& rooms, const std::string& path) {
  const Room* found = nullptr;
  for (const Room& room : rooms) {
    if (within(path, room.name) && (!found || room.name.size() > found->name.size())) found = &room;
  }
  return found;
}

struct Include {
  int line = 0;
  std::string name;
  bool angled = false;
};

struct File {
  std::string path;  // from the root
  std::vector<std::string> lines;
  std::vector<Include> includes;

  std::string unit() const { return path.substr(0, path.rfind('.')); }
};

File parsed(const std::string& path, const std::string& content) {
  static const std::regex include(R"(\s*#\s*include\s*([<"])([^>"]+)[>"].*)");
  File file{path, {}, {}};
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    file.lines.push_back(line);
    std::smatch match;
    if (line.find("include") != std::string::npos && std::regex_match(line, match, include))
      file.includes.push_back({int(file.lines.size()), match[2], match[1] == "<"});
  }
  return file;
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> endings = {".h", ".cpp", ".cu", ".cuh", ".c"};
  return endings.count(path.extension().string()) > 0;
}

const std::vector<File>& tree() {
  static const std::vector<File> files = [] {
    std::vector<File> all;
    for (const char* folder : {"engine", "layers", "models", "datasets", "distill", "cli"}) {
      for (const fs::directory_entry& entry : fs::recursive_directory_iterator(source / folder)) {
        if (is_source(entry.path()))
          all.push_back(
              parsed(fs::relative(entry.path(), source).generic_string(), read_text_file(entry.path())));
      }
    }
    std::sort(all.begin(), all.end(), [](const File& a, const File& b) { return a.path < b.path; });
    return all;
  }();
  return files;
}

std::string place(const File& file, int line) {
  return file.path + ":" + std::to_string(line) + ": ";
}

// A line for each include that goes where it may not.
std::vector<std::string> broken_includes(const std::vector<Room>& rooms, const std::vector<File>& files) {
  std::vector<std::string> broken;
  for (const File& file : files) {
    const Room* here = room_of(rooms, file.path);
    if (!here) {
      broken.push_back(file.path + ": is in no room of tests/house/rooms.txt");
      continue;
    }
    for (const Include& include : file.includes) {
      if (include.angled) continue;
      const Room* there = room_of(rooms, include.name);
      std::string rule;
      if (!there) {
        rule = "an include in quotes names a file from the root, in a room of tests/house/rooms.txt";
      } else if (there != here && there->floor >= here->floor) {
        rule = here->name + " is on floor " + std::to_string(here->floor) + ", " + there->name +
               " on floor " + std::to_string(there->floor) +
               ": a file includes its own room and lower floors";
      } else {
        for (const std::string& no : here->forbidden) {
          if (there != here && within(include.name, no)) rule = here->name + " knows nothing of " + no;
        }
      }
      if (!rule.empty()) broken.push_back(place(file, include.line) + "\"" + include.name + "\": " + rule);
    }
  }
  return broken;
}

// A circle of units (x.h and x.cpp together) that include each other, as "a -> b -> a"; empty if there is
// none.
std::string circle_of_units(const std::vector<File>& files) {
  std::map<std::string, std::set<std::string>> included;
  for (const File& file : files) {
    for (const Include& include : file.includes) {
      const std::string unit = include.name.substr(0, include.name.rfind('.'));
      if (!include.angled && unit != file.unit()) included[file.unit()].insert(unit);
    }
  }
  std::set<std::string> done;
  std::vector<std::string> way;
  std::string circle;
  const auto walk = [&](const auto& again, const std::string& unit) -> void {
    if (!circle.empty() || done.count(unit)) return;
    const auto met = std::find(way.begin(), way.end(), unit);
    if (met != way.end()) {
      for (auto at = met; at != way.end(); ++at) circle += *at + " -> ";
      circle += unit;
      return;
    }
    way.push_back(unit);
    for (const std::string& next : included[unit]) again(again, next);
    way.pop_back();
    done.insert(unit);
  };
  std::vector<std::string> units;
  for (const auto& [unit, ignored] : included) units.push_back(unit);
  for (const std::string& unit : units) walk(walk, unit);
  return circle;
}

void expect_none(const std::vector<std::string>& broken) {
  for (const std::string& line : broken) ADD_FAILURE() << line;
}

TEST(House, IncludesGoDown) {
  ASSERT_GT(tree().size(), 300u);
  expect_none(broken_includes(read_rooms(), tree()));
}

TEST(House, NoCircleOfUnits) {
  EXPECT_EQ(circle_of_units(tree()), "");
}

// The test sees what it is for.
TEST(House, WrongIncludesAreFound) {
  const std::vector<Room> rooms = read_rooms();
  const auto found = [&](const std::string& path, const std::string& include) {
    return broken_includes(rooms, {parsed(path, "\n  #include \"" + include + "\"\n")}).size();
  };
  EXPECT_EQ(found("distill/methods/kd.cpp", "distill/methods/distiller.h"), 0u);
  EXPECT_EQ(found("distill/methods/kd.cpp", "distill/train/trainer.h"), 1u);
  EXPECT_EQ(found("distill/methods/kd.cpp", "datasets/image_set.h"), 1u);
  EXPECT_EQ(found("distill/methods/kd.cpp", "kd.h"), 1u);
  EXPECT_EQ(found("engine/base/text.cpp", "engine/types.h"), 1u);
  EXPECT_EQ(found("engine/tensor.h", "layers/module.h"), 1u);
  EXPECT_EQ(found("engine/device.h", "engine/cpu/portable.h"), 1u);
  EXPECT_EQ(found("engine/device.cpp", "engine/cpu/portable.h"), 0u);
  EXPECT_EQ(found("datasets/loader.cpp", "models/model.h"), 1u);
  EXPECT_EQ(found("models/model.h", "models/zoo/resnet.h"), 1u);
  EXPECT_EQ(found("distill/new_room/x.cpp", "engine/types.h"), 1u);

  const auto unit = [](const std::string& name, const std::string& include) {
    return parsed(name, "#include \"" + include + "\"\n");
  };
  EXPECT_EQ(circle_of_units({unit("a.h", "b.h"), unit("b.cpp", "b.h"), unit("c.h", "a.h")}), "");
  EXPECT_EQ(circle_of_units({unit("a.h", "b.h"), unit("b.cpp", "c.h"), unit("c.h", "a.h")}),
            "a -> b -> c -> a");
}

TEST(House, RoomsKeepTheirBudgets) {
  const std::vector<Room> rooms = read_rooms();
  std::map<std::string, int> lines;
  for (const File& file : tree()) {
    if (const Room* room = room_of(rooms, file.path)) lines[room->name] += int(file.lines.size());
    EXPECT_LE(file.lines.size(), 480u) << file.path << ": a file has at most 480 lines";
  }
  for (const Room& room : rooms) {
    EXPECT_GT(lines[room.name], 0) << room.name << ": has no files; take it out of tests/house/rooms.txt";
    EXPECT_LE(lines[room.name], room.budget)
        << room.name
        << ": more lines than tests/house/rooms.txt allows; simplify, or say there why it needs more";
  }
}

// A room of more than five units begins with a page: what lives here, what may not, where to start.
TEST(House, LargeRoomsHaveAReadme) {
  std::map<std::string, std::set<std::string>> units;
  for (const File& file : tree()) units[fs::path(file.path).parent_path().generic_string()].insert(file.unit());
  for (const auto& [folder, all] : units) {
    if (all.size() <= 5) continue;
    const fs::path page = source / folder / "README.md";
    ASSERT_TRUE(fs::exists(page)) << folder << " has " << all.size() << " units and no README.md";
    const std::string content = read_text_file(page);
    const bool design = folder == "engine";
    EXPECT_LE(std::count(content.begin(), content.end(), '\n'), design ? 150 : 40) << page;
  }
}

// Vendors' headers, by the rooms that may name them.
TEST(House, VendorHeadersStayInTheirRooms) {
  const std::vector<std::pair<std::string, std::string>> homes = {{"dnnl", "engine/cpu/onednn"},
                                                                  {"oneapi/", "engine/cpu/onednn"},
                                                                  {"cudnn", "engine/cuda/cudnn"},
                                                                  {"cublas", "engine/cuda"},
                                                                  {"cuda", "engine/cuda"}};
  for (const File& file : tree()) {
    for (const Include& include : file.includes) {
      if (!include.angled) continue;
      const auto home = std::find_if(homes.begin(), homes.end(),
                                     [&](const auto& one) { return include.name.starts_with(one.first); });
      if (home != homes.end() && !within(file.path, home->second))
        ADD_FAILURE() << place(file, include.line) << "<" << include.name << "> belongs to " << home->second;
    }
  }
}

// Names of the virtual functions of a header that have a body or a default one; destructors may.
std::vector<std::string> not_pure(const std::string& header) {
  static const std::regex comment(R"(//[^\n]*)"), declaration(R"(\bvirtual\s[^;{}]*[;{])"),
      named(R"((~?\w+)\s*\()"), pure(R"(=\s*0\s*;$)");
  const std::string code = std::regex_replace(header, comment, "");
  std::vector<std::string> names;
  for (std::sregex_iterator found(code.begin(), code.end(), declaration), end; found != end; ++found) {
    const std::string one = found->str();
    std::smatch name;
    if (std::regex_search(one, name, named) && name.str(1)[0] != '~' && !std::regex_search(one, pure))
      names.push_back(name[1]);
  }
  return names;
}

// What wraps a backend answers every function itself; one with a body in backend.h could be forgotten there.
TEST(House, NoFunctionOfABackendHasADefault) {
  EXPECT_EQ(not_pure("virtual ~B();\nvirtual int a(int x,\n int y) const = 0;  // virtual b();\n"
                     "virtual void c() {}\nvirtual void d();\nvirtual bool e() const { return f(); }\n"),
            (std::vector<std::string>{"c", "d", "e"}));
  for (const char* header : {"engine/backend.h", "engine/arena.h"}) {
    for (const std::string& name : not_pure(read_text_file(source / header)))
      ADD_FAILURE() << header << ": " << name
                    << " is not pure: what wraps a backend could leave it out and would still compile";
  }
}

// Files are opened, read, written and locked by engine/base alone; the embeddable library, which depends on
// nothing of ours, opens its own.
TEST(House, FilesGoThroughOneDoor) {
  const std::set<std::string> doors = {"fstream", "fcntl.h", "sys/file.h"};
  for (const File& file : tree()) {
    if (within(file.path, "engine/base") || within(file.path, "engine/infer")) continue;
    for (const Include& include : file.includes) {
      if (doors.count(include.name))
        ADD_FAILURE() << place(file, include.line) << "<" << include.name
                      << ">: files are the business of engine/base";
    }
    for (size_t i = 0; i < file.lines.size(); ++i) {
      if (file.lines[i].find("fopen(") != std::string::npos)
        ADD_FAILURE() << place(file, int(i) + 1) << "fopen: files are the business of engine/base";
    }
  }
}

// Of methods that read a teacher's logits README names those that cannot standardise them.
TEST(House, ReadmeSaysWhichMethodsStandardise) {
  std::string cannot;
  for (const MethodInfo& method : methods()) {
    if (!method.reads.teacher || method.reads.features) continue;
    if (!MethodSettings(method).has("standardize")) cannot += "`" + method.name + "`";
  }
  EXPECT_NE(read_text_file(source / "README.md").find("all but " + cannot + ", can standardise"),
            std::string::npos)
      << cannot;
}

}  // namespace
}  // namespace retort
